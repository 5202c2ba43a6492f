/** What a new table has from others: its parents, the partitioned table it belongs to, and those that it is LIKE. */
import type { LikeClause, NewColumn, NewConstraint } from '../changes/change.ts';
import { firstFree, indexName } from '../changes/names.ts';
import { addConstraint, childrenOf, forChild, hasIndex } from './edit.ts';
import type { Column, Constraint, Index, Table } from './model.ts';
import { keyOf, type Schema } from './schema.ts';

export const asColumn = (column: NewColumn, since: number): Column => {
  const { name, type, notNull, defaultValue, generated, identity, collation, serial } = column;
  const value = serial ? true : defaultValue;
  return { name, type, notNull, defaultValue: value, generated, identity, collation, since };
};

/** Columns from elsewhere first; one that is named again is the same column. */
export function columnsOf(
  schema: Schema,
  parents: readonly string[],
  like: readonly LikeClause[],
  written: readonly NewColumn[],
  since: number,
): Map<string, Column> {
  const columns = new Map<string, Column>();
  const from = (key: string): Column[] => [...(schema.tables.get(key)?.columns.values() ?? [])];
  const merge = (column: Column): void => {
    const known = columns.get(column.name);
    columns.set(
      column.name,
      known === undefined
        ? column
        : {
            ...known,
            notNull: known.notNull || column.notNull,
            defaultValue: column.defaultValue ?? known.defaultValue,
            generated: column.generated ?? known.generated,
          },
    );
  };
  for (const parent of parents) for (const column of from(parent)) merge({ ...column, since });
  for (const clause of like)
    for (const column of from(clause.table))
      merge({
        ...column,
        defaultValue: clause.defaults ? column.defaultValue : null,
        generated: clause.generated ? column.generated : null,
        identity: clause.identity && column.identity,
        since,
      });
  for (const column of written) merge(asColumn(column, since));
  return columns;
}

/** Gives a new table, or a new partition, the constraints and indexes of a table. */
export function takeOver(
  schema: Schema,
  table: Table,
  from: Table,
  what: { readonly checks: boolean; readonly indexes: boolean; readonly foreign: boolean },
  since: number,
): void {
  for (const constraint of from.constraints.values()) {
    const { kind } = constraint;
    const wanted = kind === 'check' ? what.checks : hasIndex(kind) ? what.indexes : what.foreign;
    const has = [...table.constraints.values()].some((own) => isSame(own, constraint));
    if (wanted && !has) addConstraint(schema, table, forChild(table, asWritten(constraint)), since);
  }
  if (!what.indexes) return;
  for (const key of from.indexes) {
    const index = schema.indexes.get(key);
    if (index !== undefined && !from.constraints.has(index.name)) cloneIndex(schema, table, index, since);
  }
}

/** Whether a table has an index that can stand for another table's. */
export const hasAlike = (schema: Schema, table: Table, { columns, unique, partial }: Index): boolean =>
  [...table.indexes].some((key) => {
    const own = schema.indexes.get(key);
    return own?.unique === unique && own.partial === partial && own.columns.join() === columns.join();
  });

/**
 * A partition's own index of the same columns becomes part of its table's. An expression's part in the name is not
 * known any more; PostgreSQL takes the one that it has in the name of the table's index.
 */
export function cloneIndex(schema: Schema, table: Table, index: Index, since: number): void {
  const { columns } = index;
  if (hasAlike(schema, table, index)) return;
  const chosen = indexName(
    table.key,
    columns.map((column) => column ?? 'expr'),
  );
  const name = firstFree(chosen, (wanted) => schema.hasRelation(keyOf(table.schema, wanted)));
  const key = keyOf(table.schema, name);
  const clone = { ...index, key, name, table: table.key, since };
  schema.indexes.set(key, clone);
  table.indexes.add(key);
  if (table.kind === 'partitioned')
    for (const partition of childrenOf(schema, table.key)) cloneIndex(schema, partition, clone, since);
}

const isSame = (a: Constraint, b: Constraint): boolean =>
  a.kind === b.kind &&
  (a.kind === 'check' ? a.name === b.name : a.columns.join() === b.columns.join()) &&
  a.references === b.references;

const asWritten = (constraint: Constraint): NewConstraint => ({
  ...constraint,
  named: true,
  // What has no rows yet, or has been checked when it was attached, is valid.
  notValid: false,
  enforced: true,
  usingIndex: null,
  index: null,
  at: null,
});
