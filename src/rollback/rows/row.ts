/** Plans one row: which expression each column gets. */
import type { Column, ForeignKey, Table, Types } from './catalogue.ts';
import { literal, valueFor } from './values.ts';

/** SQL expressions by column; a column that is missing gets its default. */
export type Row = ReadonlyMap<string, string>;

/** Rows of the table that a foreign key points to: its key's values as texts. */
export type Parents = ReadonlyMap<ForeignKey, readonly (readonly string[])[]>;

/** The n-th row, or null where a column that must have a value can get none. */
export function planRow(table: Table, types: Types, parents: Parents, n: number): Row | null {
  const row = new Map<string, string>();
  const keys = keyValues(table, parents, n);
  if (keys === null) return null;
  for (const column of table.columns) {
    if (column.generated) continue;
    const key = keys.get(column.name);
    const value = key === undefined ? plainValue(table, column, types, n) : expressionOf(column, key);
    if (value === null && column.notNull) return null;
    if (value !== undefined) row.set(column.name, value ?? 'null');
  }
  return pointToItself(table, types, row, n);
}

const expressionOf = (column: Column, key: string | null): string | null =>
  key === null ? null : `${literal(key)}::${column.typeName}`;

/** Undefined: the default. */
function plainValue(table: Table, column: Column, types: Types, n: number): string | null | undefined {
  if (column.identity || /^(nextval|gen_random_uuid|uuid_generate)/.test(column.defaults ?? ''))
    return undefined;
  if (column.defaults !== null && !table.unique.includes(column.name)) return undefined;
  return valueFor(types, column.type, column.modifier, n);
}

/** What the foreign keys demand, the widest ones first; columns that several of them share agree. */
function keyValues(table: Table, parents: Parents, n: number): Map<string, string | null> | null {
  const chosen = new Map<string, string | null>();
  for (const key of table.foreignKeys) {
    if (key.target === table.oid && mustHaveValues(table, key)) continue;
    const fitting = (parents.get(key) ?? []).filter((values) =>
      key.columns.every((column, index) => !chosen.has(column) || chosen.get(column) === values[index]),
    );
    const values = fitting[n % Math.max(fitting.length, 1)];
    if (values !== undefined)
      for (const [index, column] of key.columns.entries()) chosen.set(column, values[index] ?? null);
    else if (!leaveOpen(table, key, chosen)) return null;
  }
  return chosen;
}

/** A foreign key with a NULL in it demands nothing. */
function leaveOpen(table: Table, key: ForeignKey, chosen: Map<string, string | null>): boolean {
  const open = table.columns.find(({ name, notNull }) => !notNull && key.columns.includes(name));
  if (open === undefined) return false;
  chosen.set(open.name, null);
  return true;
}

export const mustHaveValues = (table: Table, key: ForeignKey): boolean =>
  table.columns.every(({ name, notNull }) => notNull || !key.columns.includes(name));

/** Where a table must point to itself, each row points to itself. */
function pointToItself(table: Table, types: Types, row: Map<string, string>, n: number): Row | null {
  for (const key of table.foreignKeys) {
    if (key.target !== table.oid || !mustHaveValues(table, key)) continue;
    for (const [index, name] of key.columns.entries()) {
      const target = table.columns.find((column) => column.name === key.targetColumns[index]);
      if (target === undefined) return null;
      const value = row.get(target.name) ?? valueFor(types, target.type, target.modifier, n);
      if (value === null) return null;
      row.set(target.name, value);
      row.set(name, value);
    }
  }
  return row;
}
