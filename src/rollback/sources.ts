/** Where the way back of a migration comes from. */
import { rollbackFiles } from '../migrations/read.ts';

export interface Rollback {
  readonly source: 'rollback.sql' | 'down.sql' | 'generated';
  /** Run from begin to end it takes the migration back. */
  readonly sql: string;
  /** Why it must not be used; none where it may be proven. */
  readonly refusals: readonly string[];
}

/** The rollback that was written by hand, if any. */
export function writtenRollback(files: ReadonlyMap<string, string>): Rollback | null {
  for (const source of rollbackFiles) {
    const sql = files.get(source);
    if (sql !== undefined) return { source, sql, refusals: [] };
  }
  return null;
}
