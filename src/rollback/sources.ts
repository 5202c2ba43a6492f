/** Where the way back of a migration comes from. */

/** Files beside `migration.sql`, in order of preference: the customer's convention, then that of other tools. */
export const rollbackFiles = ['rollback.sql', 'down.sql'] as const;

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
