import type { Statement } from '../sql/split.ts';
import type { Change, NewConstraint } from './changes/change.ts';
import type { Facts } from './facts.ts';
import type { Lock } from './locks.ts';
import type { Policy } from './policy.ts';
import type { UserFunction } from './schema/model.ts';
import type { Schema } from './schema/schema.ts';

/** What a rule knows of a file as a whole, after its last statement. */
export interface MigrationContext {
  readonly name: string;
  readonly number: number;
  /** Without a byte order mark. */
  readonly text: string;
  readonly statements: readonly Statement[];
  /** Every change with the statement that made it, in order. */
  readonly changes: readonly MigrationChange[];
  /** As the file leaves it. */
  readonly schema: Schema;
  readonly policy: Policy;
  readonly facts: Facts | null;
}

export interface MigrationChange {
  readonly change: Change;
  readonly statement: Statement;
  readonly embedded: boolean;
  /** Whether the table, column, view or function concerned existed before the migration. */
  readonly existed: boolean;
  /** The function that it drops, as it was. */
  readonly droppedFunction: UserFunction | null;
  /** On tables that existed before. */
  readonly locks: readonly Lock[];
}

/** What a rule knows of a folder as a whole. */
export interface FolderContext {
  readonly migrations: readonly FolderMigration[];
  /** Content of `migration_lock.toml`; null where it is missing, undefined where there is no folder to hold it. */
  readonly lockFile: string | null | undefined;
  /** What the database's history says, where there is one. */
  readonly history: HistoryComparison | null;
  /** Whether a migration is among those that are to be judged. */
  isReported(name: string): boolean;
}

export interface FolderMigration {
  readonly name: string;
  readonly checksum: string;
  /** Tables that existed before it and that it locks, in the order in which it locks them. */
  readonly locked: readonly string[];
}

export interface HistoryComparison {
  /** What the history holds, oldest first. */
  readonly applied: readonly { readonly name: string; readonly checksum: string }[];
}

/** The foreign keys that a change makes. */
export function foreignKeysOf(change: Change): NewConstraint[] {
  return constraintsOf(change).filter(({ kind }) => kind === 'foreign');
}

function constraintsOf(change: Change): readonly NewConstraint[] {
  switch (change.kind) {
    case 'addConstraint':
      return [change.constraint];
    case 'createTable':
      return change.constraints;
    case 'addColumn':
      return change.column.constraints;
    default:
      return [];
  }
}
