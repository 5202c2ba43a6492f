import type { Change } from '../analysis/changes/change.ts';
import { childrenOf } from '../analysis/schema/edit.ts';
import { keyOf, type Schema, splitKey } from '../analysis/schema/schema.ts';
import { type Visited, walkStatement } from '../analysis/walk.ts';
import type { Statement } from '../sql/split.ts';
import { type CreateTrigStmt, type RenameStmt, type RuleStmt, relationName } from '../sql/tree.ts';
import type { Naming, WrittenName } from '../vault/removals.ts';

/** What the migration at hand has made itself: nothing in it is older than the migration. In doubt a thing is old. */
export class Newness {
  readonly schema: Schema;
  readonly #since: number;
  /** Keys of tables and of columns that may have been there before. */
  readonly #doubtful = new Set<string>();
  readonly #schemas = new Set<string>();
  #lost = false;
  #namings: Naming[] = [];

  /** @param schema as it is before the migration; it is carried forward. `since` is the migration's number in it. */
  constructor(schema: Schema, since: number) {
    this.schema = schema;
    this.#since = since;
  }

  isNewTable(name: WrittenName): boolean {
    const key = this.schema.tableKey(name);
    return !this.#lost && !this.#doubtful.has(key) && this.schema.tables.get(key)?.since === this.#since;
  }

  isNewColumn(table: WrittenName, column: string): boolean {
    const key = this.schema.tableKey(table);
    return (
      this.isNewTable(table) ||
      (!this.#lost &&
        !this.#doubtful.has(keyOf(key, column)) &&
        this.schema.tables.get(key)?.columns.get(column)?.since === this.#since)
    );
  }

  /** Known not to be there at all. */
  isMissing(table: WrittenName): boolean {
    return !this.#lost && this.schema.complete && this.schema.table(table) === undefined;
  }

  isNewSchema(name: string): boolean {
    return !this.#lost && this.#schemas.has(name);
  }

  /** Something was rolled back: what is there now is not known. */
  lose(): void {
    this.schema.complete = false;
    this.#lost = true;
  }

  /** Carries the schema over a statement. @returns what it calls otherwise */
  carry(statement: Statement): readonly Naming[] {
    this.#namings = [];
    this.#watchTable(statement);
    this.#watchSequence(statement);
    try {
      walkStatement(statement, this.schema, this.#since, (visited) => this.#visit(visited));
    } catch (error) {
      // Too deeply nested to be looked at.
      if (!(error instanceof RangeError)) throw error;
      this.lose();
    }
    return this.#namings;
  }

  #visit({ change, embedded }: Visited): void {
    // What code makes, it may make only under some condition; IF NOT EXISTS may have found what there was.
    const certain = !embedded && this.schema.complete;
    if (change.kind === 'createTable' && (embedded || (change.ifNotExists && !certain)))
      this.#doubtful.add(change.table);
    if (change.kind === 'addColumn' && (embedded || (change.ifNotExists && !certain)))
      this.#doubtful.add(keyOf(change.table, change.column.name));
    if (change.kind === 'createSchema' && certain && !this.schema.schemas.has(change.schema))
      this.#schemas.add(change.schema);
    if (change.kind === 'renameColumn') this.#doubtful.add(keyOf(change.table, change.to));
    this.#namings.push(...this.#namingsOf(change));
  }

  #namingsOf(change: Change): Naming[] {
    switch (change.kind) {
      case 'createTable':
        return this.#doubtful.has(change.table) ? [] : [renamed(null, change.table)];
      case 'renameTable':
        return [renamed(change.table, keyOf(splitKey(change.table).schema, change.to))];
      case 'moveTable':
        return [renamed(change.table, keyOf(change.toSchema, splitKey(change.table).name))];
      case 'renameSchema':
        return [{ kind: 'schema', from: change.schema, to: change.to }];
      case 'addColumn': {
        const { name } = change.column;
        return this.#doubtful.has(keyOf(change.table, name)) ? [] : this.#inTree(change.table, null, name);
      }
      case 'dropColumn':
        return this.#inTree(change.table, change.column, null);
      case 'renameColumn':
        return this.#inTree(change.table, change.column, change.to);
      default:
        return [];
    }
  }

  /** Partitions and child tables have their columns from the table above. */
  #inTree(table: string, from: string | null, to: string | null): Naming[] {
    return [
      { kind: 'column', table: splitKey(table), from, to },
      ...childrenOf(this.schema, table).flatMap(({ key }) => this.#inTree(key, from, to)),
    ];
  }

  /** The schema has none in it. */
  #watchSequence({ kind, node }: Statement): void {
    if (kind !== 'RenameStmt') return;
    const { renameType, relation, newname = '' } = node as RenameStmt;
    if (renameType !== 'OBJECT_SEQUENCE') return;
    const key = this.schema.tableKey(relationName(relation));
    this.#namings.push(renamed(key, keyOf(splitKey(key).schema, newname)));
  }

  /** Rows of a new table with a trigger or a rule are not all that a statement on it changes. */
  #watchTable({ kind, node }: Statement): void {
    if (kind !== 'CreateTrigStmt' && kind !== 'RuleStmt') return;
    const { relation } = node as CreateTrigStmt | RuleStmt;
    this.#doubtful.add(this.schema.tableKey(relationName(relation)));
  }
}

const renamed = (from: string | null, to: string): Naming => ({
  kind: 'relation',
  from: from === null ? null : splitKey(from),
  to: splitKey(to),
});
