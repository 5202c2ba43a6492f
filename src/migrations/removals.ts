/** What the statements of a migration take away of what was there before it, in the vault's words. */
import { Schema } from '../analysis/schema/schema.ts';
import type { Statement } from '../sql/split.ts';
import type { ExecuteStmt, PrepareStmt } from '../sql/tree.ts';
import type { Naming, Removal } from '../vault/removals.ts';
import { Newness } from './newness.ts';
import { removedByCode } from './removals-of-code.ts';
import { removedByAlter, removedByDrop, restartedSequence } from './removals-of-objects.ts';
import { removedByRows, removedByTruncate } from './removals-of-rows.ts';

export interface Removed {
  /** By statement. */
  readonly removals: readonly (readonly Removal[])[];
  readonly namings: readonly PlacedNaming[];
}

/** What a statement calls otherwise, with its 1-based number in the file. */
export type PlacedNaming = Naming & { readonly statement: number };

/**
 * What each statement of a file removes: nothing for what only adds, and nothing of what the file itself has made; and
 * what it calls otherwise.
 * @param schema as it is before the migration, and carried over it; of one that is not `complete` anything may exist
 * @param migration its number among those that the schema goes over
 */
export function readRemovals(
  statements: readonly Statement[],
  schema: Schema = new Schema({ complete: false }),
  migration = 0,
): Removed {
  const news = new Newness(schema, migration);
  const prepared = new Map<string, readonly Removal[]>();
  const namings: PlacedNaming[] = [];
  const places = new RollbackPlaces();
  const removals = statements.map((statement, index) => {
    const removed = [...removedBy(statement, news, prepared)];
    if (statement.kind === 'PrepareStmt') {
      const { name = '', query } = statement.node as PrepareStmt;
      prepared.set(name, query === undefined ? [] : removedByRows({ ...statement, node: { query } }, news));
    }
    namings.push(...news.carry(statement).map((naming) => ({ ...naming, statement: index + 1 })));
    const left = places.after(statement, namings.length);
    if (left < namings.length) {
      namings.length = left;
      news.lose();
    }
    return removed;
  });
  schema.endSession();
  return { removals, namings };
}

/** How many namings there were where a transaction or a savepoint began: what is rolled back to there is not so named. */
class RollbackPlaces {
  #places: { readonly name: string; readonly namings: number }[] = [];

  /** @returns how many namings hold after the statement */
  after({ kind, node }: Statement, namings: number): number {
    if (kind !== 'TransactionStmt') return namings;
    const { kind: does, savepoint_name: name = '' } = node as { kind?: string; savepoint_name?: string };
    if (does === 'TRANS_STMT_BEGIN' || does === 'TRANS_STMT_START') this.#places = [{ name: '', namings }];
    else if (does === 'TRANS_STMT_SAVEPOINT') this.#places.push({ name, namings });
    else if (does === 'TRANS_STMT_ROLLBACK_TO')
      return this.#places.findLast((one) => one.name === name)?.namings ?? namings;
    else if (does === 'TRANS_STMT_ROLLBACK') return this.#places.splice(0)[0]?.namings ?? namings;
    else if (does === 'TRANS_STMT_COMMIT') this.#places = [];
    return namings;
  }
}

export const removalsOf = (...text: Parameters<typeof readRemovals>): Removed['removals'] =>
  readRemovals(...text).removals;

/** What one statement removes; `news` stands just before it. */
export function removedBy(
  statement: Statement,
  news: Newness,
  prepared: ReadonlyMap<string, readonly Removal[]> = new Map(),
): readonly Removal[] {
  switch (statement.kind) {
    case 'DropStmt':
      return removedByDrop(statement, news);
    case 'DropOwnedStmt':
      return [{ kind: 'drop', sql: statement.text }];
    case 'DropdbStmt':
      return [{ kind: 'unkept', because: 'It drops a whole database.' }];
    case 'AlterTableStmt':
      return removedByAlter(statement, news);
    case 'AlterSeqStmt':
      return restartedSequence(statement);
    case 'TruncateStmt':
      return removedByTruncate(statement, news);
    case 'SelectStmt':
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
    case 'CopyStmt':
    case 'CreateTableAsStmt':
    case 'ExplainStmt':
      return removedByRows(statement, news);
    case 'ExecuteStmt': {
      const { name = '' } = statement.node as ExecuteStmt;
      return prepared.get(name) ?? [{ kind: 'opaque', sql: statement.text, tables: [] }];
    }
    case 'DoStmt':
    case 'CallStmt':
      return removedByCode(statement, news, (inner) => removedBy(inner, news));
    default:
      return [];
  }
}
