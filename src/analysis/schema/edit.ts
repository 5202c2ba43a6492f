/** The steps of which changes of a schema consist: what hangs on an object goes with it. */
import type { NewConstraint } from '../changes/change.ts';
import { constraintName, firstFree } from '../changes/names.ts';
import { castTo, mentionsType, renameColumnIn, renameTypeIn } from './expressions.ts';
import type { Column, ColumnType, Constraint, Table } from './model.ts';
import { keyOf, type Schema, splitKey } from './schema.ts';

export const hasIndex = (kind: Constraint['kind']): boolean =>
  kind === 'primary' || kind === 'unique' || kind === 'exclusion';

/** Partitions and children: what is done to the columns of a table is done to theirs. */
export const childrenOf = (schema: Schema, key: string): Table[] =>
  schema.hasChildren ? [...schema.tables.values()].filter(({ parents }) => parents.includes(key)) : [];

export function dropTable(schema: Schema, key: string): void {
  const table = schema.tables.get(key);
  if (table === undefined) return;
  for (const index of table.indexes) schema.indexes.delete(index);
  schema.tables.delete(key);
  // Children go with CASCADE, and so do foreign keys that point to it (or the statement fails).
  for (const child of childrenOf(schema, key)) dropTable(schema, child.key);
  dropReferences(schema, key, () => true);
}

/** Foreign keys go with the columns, or with the unique constraint, that they point to. */
export function dropReferences(
  schema: Schema,
  key: string,
  affected: (referencedColumns: readonly string[]) => boolean,
): void {
  for (const table of schema.referencing(key))
    for (const { name, references, referencedColumns } of table.constraints.values())
      if (references === key && affected(referencedColumns)) table.constraints.delete(name);
}

export function moveTable(schema: Schema, from: string, to: string): void {
  const table = schema.tables.get(from);
  if (table === undefined || schema.tables.has(to)) return;
  const at = splitKey(to);
  const indexes = new Set(
    [...table.indexes].map((key) => moveIndex(schema, key, keyOf(at.schema, splitKey(key).name), to)),
  );
  schema.tables.delete(from);
  schema.tables.set(to, { ...table, key: to, ...at, indexes });
  for (const child of childrenOf(schema, from))
    schema.tables.set(child.key, {
      ...child,
      parents: child.parents.map((parent) => (parent === from ? to : parent)),
    });
  for (const { references } of table.constraints.values())
    if (references !== null) schema.noteReference(to, references);
  for (const { key } of schema.referencing(from)) schema.noteReference(key, to);
  patchReferences(schema, from, (constraint) => ({ ...constraint, references: to }));
}

function patchReferences(schema: Schema, key: string, patch: (constraint: Constraint) => Constraint): void {
  for (const table of schema.referencing(key))
    for (const [name, constraint] of table.constraints)
      if (constraint.references === key) table.constraints.set(name, patch(constraint));
}

export function moveIndex(schema: Schema, from: string, to: string, table?: string): string {
  const index = schema.indexes.get(from);
  if (index === undefined) return to;
  schema.indexes.delete(from);
  schema.indexes.set(to, { ...index, key: to, name: splitKey(to).name, table: table ?? index.table });
  const owner = schema.tables.get(index.table);
  owner?.indexes.delete(from);
  owner?.indexes.add(to);
  return to;
}

export function dropIndex(schema: Schema, key: string): void {
  const index = schema.indexes.get(key);
  if (index === undefined) return;
  schema.indexes.delete(key);
  schema.tables.get(index.table)?.indexes.delete(key);
}

export function dropColumn(schema: Schema, table: Table, name: string): void {
  table.columns.delete(name);
  for (const constraint of table.constraints.values())
    if (constraint.columns.includes(name)) dropConstraint(schema, table, constraint.name);
  for (const key of table.indexes) {
    const index = schema.indexes.get(key);
    if (index?.columns.includes(name) !== true && index?.expressionColumns.includes(name) !== true) continue;
    const constraint = table.constraints.get(index.name);
    if (constraint !== undefined && hasIndex(constraint.kind)) dropConstraint(schema, table, index.name);
    else dropIndex(schema, key);
  }
  dropReferences(schema, table.key, (columns) => columns.includes(name));
  for (const child of childrenOf(schema, table.key)) dropColumn(schema, child, name);
}

export function renameColumn(schema: Schema, table: Table, from: string, to: string): void {
  const old = table.columns.get(from);
  if (old === undefined) return;
  table.columns.delete(from);
  table.columns.set(to, { ...old, name: to });
  const renamed = (name: string): string => (name === from ? to : name);
  for (const [name, constraint] of table.constraints) {
    if (!constraint.columns.includes(from)) continue;
    const { expression } = constraint;
    table.constraints.set(name, {
      ...constraint,
      columns: constraint.columns.map(renamed),
      expression: expression === null ? null : renameColumnIn(expression, from, to),
    });
  }
  for (const key of table.indexes) {
    const index = schema.indexes.get(key);
    if (index === undefined) continue;
    const columns = index.columns.map((name) => (name === null ? null : renamed(name)));
    schema.indexes.set(key, {
      ...index,
      columns,
      expressionColumns: index.expressionColumns.map(renamed),
    });
  }
  if (table.partitionColumns.includes(from))
    schema.tables.set(table.key, { ...table, partitionColumns: table.partitionColumns.map(renamed) });
  patchReferences(schema, table.key, (constraint) => ({
    ...constraint,
    referencedColumns: constraint.referencedColumns.map(renamed),
  }));
  for (const child of childrenOf(schema, table.key)) renameColumn(schema, child, from, to);
}

export function patchColumn(schema: Schema, key: string, name: string, patch: Partial<Column>): void {
  const columns = schema.tables.get(key)?.columns;
  const column = columns?.get(name);
  if (columns === undefined || column === undefined) return;
  columns.set(name, { ...column, ...patch });
  for (const child of childrenOf(schema, key)) patchColumn(schema, child.key, name, patch);
}

export function changeType(
  schema: Schema,
  key: string,
  name: string,
  patch: { readonly type: ColumnType; readonly collation: string | null },
): void {
  const old = schema.tables.get(key)?.columns.get(name);
  if (old === undefined) return;
  const { defaultValue } = old;
  const kept = defaultValue === null || defaultValue === true || sameName(old.type, patch.type);
  schema.tables.get(key)?.columns.set(name, {
    ...old,
    ...patch,
    defaultValue: kept ? defaultValue : castTo(defaultValue, old.type),
  });
  for (const child of childrenOf(schema, key)) changeType(schema, child.key, name, patch);
}

const sameName = (a: ColumnType, b: ColumnType): boolean => a.name === b.name && a.schema === b.schema;

export function addConstraint(schema: Schema, table: Table, constraint: NewConstraint, since: number): void {
  const { kind, expression, references, usingIndex } = constraint;
  const name = freeName(schema, table, constraint);
  if (table.constraints.has(name)) return;
  const index = usingIndex === null ? undefined : schema.indexes.get(keyOf(table.schema, usingIndex));
  const columns = index === undefined ? constraint.columns : index.columns.flatMap((column) => column ?? []);
  const valid = !constraint.notValid && constraint.enforced;
  const referencedColumns =
    references === null || constraint.referencedColumns.length > 0
      ? constraint.referencedColumns
      : primaryKeyOf(schema, references);
  const made: Constraint = { name, kind, columns, valid, references, referencedColumns, expression, since };
  table.constraints.set(name, made);
  if (references !== null) schema.noteReference(table.key, references);
  if (index !== undefined) moveIndex(schema, index.key, keyOf(table.schema, name));
  else if (hasIndex(kind)) {
    const unique = kind !== 'exclusion';
    const key = keyOf(table.schema, name);
    const parts = constraint.index ?? { columns, expressionColumns: [], partial: false };
    schema.indexes.set(key, { key, name, table: table.key, ...parts, unique, since });
    table.indexes.add(key);
  }
  if (kind === 'primary' || (kind === 'notNull' && valid))
    for (const column of columns) patchColumn(schema, table.key, column, { notNull: true });
  passOn(schema, table, { ...constraint, columns, referencedColumns, name }, since);
}

/** Checks go to all children by their name; of a partitioned table keys do too, whose names are chosen anew. */
function passOn(schema: Schema, table: Table, constraint: NewConstraint, since: number): void {
  if (constraint.kind !== 'check' && table.kind !== 'partitioned') return;
  for (const child of childrenOf(schema, table.key))
    addConstraint(schema, child, forChild(child, constraint), since);
}

/** Keys get a name of the table's own, the others keep theirs. */
export function forChild(table: Table, constraint: NewConstraint): NewConstraint {
  const { kind, columns } = constraint;
  return hasIndex(kind)
    ? { ...constraint, name: constraintName(table.key, columns, kind), named: false, usingIndex: null }
    : { ...constraint, named: true };
}

const primaryKeyOf = (schema: Schema, key: string): readonly string[] =>
  [...(schema.tables.get(key)?.constraints.values() ?? [])].find(({ kind }) => kind === 'primary')?.columns ??
  [];

/** PostgreSQL appends a number to a name of its own choice that is taken, by whatever table of the schema. */
function freeName(schema: Schema, table: Table, { name, named, kind }: NewConstraint): string {
  if (named) return name;
  const relations = hasIndex(kind);
  const taken = (wanted: string): boolean =>
    (relations && schema.hasRelation(keyOf(table.schema, wanted))) ||
    [...schema.tables.values()].some(
      (other) => other.schema === table.schema && other.constraints.has(wanted),
    );
  return firstFree(name, taken);
}

export function dropConstraint(schema: Schema, table: Table, name: string, cascade = false): void {
  const constraint = table.constraints.get(name);
  table.constraints.delete(name);
  if (constraint === undefined) return;
  const { kind, columns } = constraint;
  if (hasIndex(kind)) dropIndex(schema, keyOf(table.schema, name));
  if (kind === 'notNull')
    for (const column of columns) patchColumn(schema, table.key, column, { notNull: false });
  // A foreign key hangs on one index; where two would do, it is taken to hang on the one that stays.
  if (cascade && (kind === 'primary' || kind === 'unique') && !isUnique(schema, table, columns))
    dropReferences(schema, table.key, (referenced) => sameSet(referenced, columns));
  for (const child of childrenOf(schema, table.key)) {
    const theirs = [...child.constraints.values()].find(
      (other) =>
        other.kind === kind && (hasIndex(kind) ? sameSet(other.columns, columns) : other.name === name),
    );
    if (theirs !== undefined) dropConstraint(schema, child, theirs.name, cascade);
  }
}

const isUnique = (schema: Schema, table: Table, columns: readonly string[]): boolean =>
  [...table.indexes].some((key) => {
    const index = schema.indexes.get(key);
    return index?.unique === true && !index.partial && sameSet(index.columns, columns);
  });

const sameSet = (a: readonly (string | null)[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name) => name !== null && b.includes(name));

export function dropType(schema: Schema, key: string): void {
  if (!schema.types.delete(key)) return;
  const { schema: inSchema, name: type } = splitKey(key);
  for (const domain of [...schema.types.values()])
    if (domain.base?.name === type && domain.base.schema === inSchema) dropType(schema, domain.key);
  // With CASCADE its columns go, and the defaults of others that were made as this type.
  for (const table of schema.tables.values())
    for (const [name, column] of table.columns) {
      const { defaultValue } = column;
      if (column.type.name === type && column.type.schema === inSchema) dropColumn(schema, table, name);
      else if (
        defaultValue !== null &&
        defaultValue !== true &&
        column.generated === null &&
        mentionsType(defaultValue, inSchema, type)
      )
        table.columns.set(name, { ...column, defaultValue: null });
    }
}

/** Another name, or the name of the schema in which it stands. */
export function moveType(schema: Schema, from: string, to: string): void {
  const type = schema.types.get(from);
  if (type === undefined) return;
  const [old, at] = [splitKey(from), splitKey(to)];
  schema.types.delete(from);
  schema.types.set(to, { ...type, key: to, name: at.name });
  const moved = (of: ColumnType): ColumnType =>
    of.name === old.name && of.schema === old.schema ? { ...of, ...at } : of;
  for (const other of schema.types.values())
    if (other.base !== null) schema.types.set(other.key, { ...other, base: moved(other.base) });
  for (const table of schema.tables.values())
    for (const column of table.columns.values()) {
      const { defaultValue } = column;
      const casts =
        defaultValue !== null && defaultValue !== true && mentionsType(defaultValue, old.schema, old.name);
      const isOfType = column.type.name === old.name && column.type.schema === old.schema;
      if (!casts && !isOfType) continue;
      table.columns.set(column.name, {
        ...column,
        type: moved(column.type),
        defaultValue: casts ? renameTypeIn(defaultValue, old.name, at.name) : defaultValue,
      });
    }
}
