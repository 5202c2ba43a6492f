/** Carries a schema over one change. What a change names and the schema does not know is passed over. */
import type { Change, ChangeKind, ChangeOf, NewColumn, NewConstraint } from '../changes/change.ts';
import type { Column, Constraint, Table } from './model.ts';
import { keyOf, type Schema, splitKey } from './schema.ts';

type Apply<K extends ChangeKind> = (schema: Schema, change: ChangeOf<K>, since: number) => void;

export function applyChange(schema: Schema, change: Change, since: number): void {
  const apply = appliers[change.kind] as Apply<ChangeKind> | undefined;
  apply?.(schema, change, since);
}

const appliers: { readonly [K in ChangeKind]?: Apply<K> } = {
  createTable,
  dropTable: (schema, { table }) => dropTable(schema, table),
  renameTable: (schema, { table, to }) => moveTable(schema, table, keyOf(splitKey(table).schema, to)),
  moveTable: (schema, { table, toSchema }) => moveTable(schema, table, keyOf(toSchema, splitKey(table).name)),
  addColumn: (schema, { table, column }, since) => {
    const known = schema.tables.get(table);
    if (known === undefined || known.columns.has(column.name)) return;
    known.columns.set(column.name, asColumn(column, since));
    for (const constraint of column.constraints) addConstraint(schema, known, constraint, since);
  },
  dropColumn: (schema, { table, column }) => {
    const known = schema.tables.get(table);
    if (known === undefined) return;
    known.columns.delete(column);
    for (const constraint of known.constraints.values())
      if (constraint.columns.includes(column)) dropConstraint(schema, known, constraint.name);
    for (const key of known.indexes)
      if (schema.indexes.get(key)?.columns.includes(column) === true) dropIndex(schema, key);
  },
  renameColumn: (schema, { table, column, to }) => {
    const known = schema.tables.get(table);
    const old = known?.columns.get(column);
    if (known === undefined || old === undefined) return;
    known.columns.delete(column);
    known.columns.set(to, { ...old, name: to });
    const renamed = (name: string): string => (name === column ? to : name);
    for (const [name, constraint] of known.constraints)
      known.constraints.set(name, { ...constraint, columns: constraint.columns.map(renamed) });
    for (const key of known.indexes) {
      const index = schema.indexes.get(key);
      if (index !== undefined)
        schema.indexes.set(key, {
          ...index,
          columns: index.columns.map((name) => (name === null ? null : renamed(name))),
        });
    }
  },
  changeType: (schema, { table, column, type, collation }) =>
    patchColumn(schema, table, column, { type, collation }),
  setDefault: (schema, { table, column, value }) =>
    patchColumn(schema, table, column, { defaultValue: value }),
  dropDefault: (schema, { table, column }) => patchColumn(schema, table, column, { defaultValue: null }),
  setNotNull: (schema, { table, column }) => patchColumn(schema, table, column, { notNull: true }),
  dropNotNull: (schema, { table, column }) => patchColumn(schema, table, column, { notNull: false }),
  changeGenerated: (schema, { table, column, to }) => {
    if (to === 'plain') patchColumn(schema, table, column, { generated: null });
    if (to === 'identity' || to === 'noIdentity')
      patchColumn(schema, table, column, { identity: to === 'identity' });
  },
  addConstraint: (schema, { table, constraint }, since) => {
    const known = schema.tables.get(table);
    if (known !== undefined) addConstraint(schema, known, constraint, since);
  },
  validateConstraint: (schema, { table, name }) => {
    const known = schema.tables.get(table);
    const constraint = known?.constraints.get(name);
    if (known === undefined || constraint === undefined) return;
    known.constraints.set(name, { ...constraint, valid: true });
    if (constraint.kind === 'notNull')
      for (const column of constraint.columns) patchColumn(schema, table, column, { notNull: true });
  },
  dropConstraint: (schema, { table, name }) => {
    const known = schema.tables.get(table);
    if (known !== undefined) dropConstraint(schema, known, name);
  },
  renameConstraint: (schema, { table, name, to }) => {
    const known = schema.tables.get(table);
    const constraint = known?.constraints.get(name);
    if (known === undefined || constraint === undefined) return;
    known.constraints.delete(name);
    known.constraints.set(to, { ...constraint, name: to });
    moveIndex(schema, keyOf(known.schema, name), keyOf(known.schema, to));
  },
  attachPartition: (schema, { table, partition }) => {
    const known = schema.tables.get(partition);
    if (known !== undefined) schema.tables.set(partition, { ...known, parents: [...known.parents, table] });
  },
  detachPartition: (schema, { table, partition }) => {
    const known = schema.tables.get(partition);
    if (known !== undefined)
      schema.tables.set(partition, {
        ...known,
        parents: known.parents.filter((parent) => parent !== table),
      });
  },
  createIndex: (schema, change, since) => {
    if (schema.indexes.has(change.index)) return;
    const { index: key, name, table, columns, expressionColumns, unique, partial } = change;
    schema.indexes.set(key, { key, name, table, columns, expressionColumns, unique, partial, since });
    schema.tables.get(table)?.indexes.add(key);
  },
  dropIndex: (schema, { index }) => dropIndex(schema, index),
  renameIndex: (schema, { index, to }) => {
    const { schema: inSchema, name } = splitKey(index);
    moveIndex(schema, index, keyOf(inSchema, to));
    // A constraint has its index's name.
    const table = schema.tables.get(schema.indexes.get(keyOf(inSchema, to))?.table ?? '');
    const constraint = table?.constraints.get(name);
    if (table === undefined || constraint === undefined) return;
    table.constraints.delete(name);
    table.constraints.set(to, { ...constraint, name: to });
  },
  createType: (schema, change, since) => {
    const { type: key, name, typeKind: kind, labels, base, constrained } = change;
    if (!schema.types.has(key)) schema.types.set(key, { key, name, kind, labels, base, constrained, since });
  },
  addEnumValue: (schema, { type, label }) => {
    const known = schema.types.get(type);
    if (known !== undefined && !known.labels.includes(label))
      schema.types.set(type, { ...known, labels: [...known.labels, label] });
  },
  renameEnumValue: (schema, { type, label, to }) => {
    const known = schema.types.get(type);
    if (known !== undefined)
      schema.types.set(type, {
        ...known,
        labels: known.labels.map((value) => (value === label ? to : value)),
      });
  },
  renameType: (schema, { type, to }) => renameType(schema, type, to),
  dropType: (schema, { type }) => void schema.types.delete(type),
  constrainDomain: (schema, { type }) => {
    const known = schema.types.get(type);
    if (known !== undefined) schema.types.set(type, { ...known, constrained: true });
  },
  createView: (schema, { view: key, name, schema: inSchema, temporary }, since) => {
    if (!schema.tables.has(key))
      schema.tables.set(key, { ...emptyTable(key, inSchema, name, since), kind: 'view', temporary });
  },
  createFunction: (schema, change, since) => {
    const { function: key, name, volatility, language, body } = change;
    schema.functions.set(key, { key, name, volatility, language, body, since });
  },
  dropFunction: (schema, { function: key }) => void schema.functions.delete(key),
  createSchema: (schema, { schema: name }) => void schema.schemas.add(name),
  renameSchema: (schema, { schema: name, to }) => {
    schema.schemas.delete(name);
    schema.schemas.add(to);
    for (const table of [...schema.tables.values()])
      if (table.schema === name) moveTable(schema, table.key, keyOf(to, table.name));
  },
  dropSchema: (schema, { schema: name }) => {
    schema.schemas.delete(name);
    for (const table of [...schema.tables.values()]) if (table.schema === name) dropTable(schema, table.key);
    for (const type of [...schema.types.keys()])
      if (splitKey(type).schema === name) schema.types.delete(type);
  },
  extension: (schema, { name, action }) => {
    if (action === 'create') schema.extensions.add(name);
    if (action === 'drop') schema.extensions.delete(name);
  },
  setting: (schema, { name, value }) => {
    if (name === 'all') schema.searchPath = schema.defaultPath;
    if (name !== 'search_path') return;
    const path = (value ?? '')
      .split(',')
      .map((part) => part.trim().replace(/^"(.*)"$/, '$1'))
      .filter((part) => part !== '' && part !== '$user' && part !== 'pg_catalog');
    schema.searchPath = path.length === 0 ? schema.defaultPath : path;
  },
};

const emptyTable = (key: string, inSchema: string, name: string, since: number): Table => ({
  key,
  schema: inSchema,
  name,
  kind: 'table',
  temporary: false,
  since,
  columns: new Map(),
  columnsKnown: false,
  constraints: new Map(),
  indexes: new Set(),
  parents: [],
});

function createTable(schema: Schema, change: ChangeOf<'createTable'>, since: number): void {
  if (schema.tables.has(change.table)) return;
  const inherited = [...change.parents, ...change.like].flatMap((key) => {
    const parent = schema.tables.get(key);
    return parent === undefined ? [] : [...parent.columns.values()];
  });
  const columns = [
    ...inherited.map((column) => ({ ...column, since })),
    ...change.columns.map((column) => asColumn(column, since)),
  ];
  const table: Table = {
    ...emptyTable(change.table, change.schema, change.name, since),
    kind: change.tableKind,
    temporary: change.temporary,
    columns: new Map(columns.map((column) => [column.name, column])),
    columnsKnown: change.columnsKnown,
    parents: change.parents,
  };
  schema.tables.set(table.key, table);
  for (const constraint of change.constraints) addConstraint(schema, table, constraint, since);
}

function dropTable(schema: Schema, key: string): void {
  const table = schema.tables.get(key);
  if (table === undefined) return;
  for (const index of table.indexes) schema.indexes.delete(index);
  schema.tables.delete(key);
  // Partitions go with their table, foreign keys that point to it with CASCADE (or the statement fails).
  for (const other of [...schema.tables.values()]) {
    if (table.kind === 'partitioned' && other.parents.includes(key)) dropTable(schema, other.key);
    for (const constraint of other.constraints.values())
      if (constraint.references === key) other.constraints.delete(constraint.name);
  }
}

function moveTable(schema: Schema, from: string, to: string): void {
  const table = schema.tables.get(from);
  if (table === undefined || schema.tables.has(to)) return;
  const at = splitKey(to);
  const indexes = new Set(
    [...table.indexes].map((key) => moveIndex(schema, key, keyOf(at.schema, splitKey(key).name), to)),
  );
  schema.tables.delete(from);
  schema.tables.set(to, { ...table, key: to, ...at, indexes });
  for (const other of schema.tables.values()) {
    if (other.parents.includes(from))
      schema.tables.set(other.key, {
        ...other,
        parents: other.parents.map((parent) => (parent === from ? to : parent)),
      });
    for (const [name, constraint] of other.constraints)
      if (constraint.references === from) other.constraints.set(name, { ...constraint, references: to });
  }
}

function moveIndex(schema: Schema, from: string, to: string, table?: string): string {
  const index = schema.indexes.get(from);
  if (index === undefined) return to;
  schema.indexes.delete(from);
  schema.indexes.set(to, { ...index, key: to, name: splitKey(to).name, table: table ?? index.table });
  const owner = schema.tables.get(index.table);
  owner?.indexes.delete(from);
  owner?.indexes.add(to);
  return to;
}

function dropIndex(schema: Schema, key: string): void {
  const index = schema.indexes.get(key);
  if (index === undefined) return;
  schema.indexes.delete(key);
  schema.tables.get(index.table)?.indexes.delete(key);
}

function addConstraint(schema: Schema, table: Table, constraint: NewConstraint, since: number): void {
  const { kind, expression, references, referencedColumns, usingIndex } = constraint;
  const name = freeName(table, constraint);
  if (table.constraints.has(name)) return;
  const index = usingIndex === null ? undefined : schema.indexes.get(keyOf(table.schema, usingIndex));
  const columns = index === undefined ? constraint.columns : index.columns.flatMap((column) => column ?? []);
  const valid = !constraint.notValid && constraint.enforced;
  const made: Constraint = {
    name,
    kind,
    columns,
    valid,
    references,
    referencedColumns,
    expression,
    since,
  };
  table.constraints.set(name, made);
  if (kind === 'primary' || kind === 'unique' || kind === 'exclusion') {
    const key = keyOf(table.schema, name);
    if (index !== undefined) moveIndex(schema, index.key, key);
    else {
      schema.indexes.set(key, {
        key,
        name,
        table: table.key,
        columns,
        expressionColumns: [],
        unique: kind !== 'exclusion',
        partial: false,
        since,
      });
      table.indexes.add(key);
    }
  }
  if (kind === 'primary' || (kind === 'notNull' && valid))
    for (const column of columns) patchColumn(schema, table.key, column, { notNull: true });
}

/** PostgreSQL appends a number to a name of its own choice that is taken. */
function freeName(table: Table, { name, named }: NewConstraint): string {
  if (named || !table.constraints.has(name)) return name;
  for (let number = 1; ; number += 1) if (!table.constraints.has(name + number)) return name + number;
}

function dropConstraint(schema: Schema, table: Table, name: string): void {
  table.constraints.delete(name);
  dropIndex(schema, keyOf(table.schema, name));
}

function renameType(schema: Schema, from: string, to: string): void {
  const type = schema.types.get(from);
  if (type === undefined) return;
  const key = keyOf(splitKey(from).schema, to);
  schema.types.delete(from);
  schema.types.set(key, { ...type, key, name: to });
  for (const table of schema.tables.values())
    for (const column of table.columns.values())
      if (column.type.name === type.name)
        table.columns.set(column.name, { ...column, type: { ...column.type, name: to } });
}

function patchColumn(schema: Schema, table: string, name: string, patch: Partial<Column>): void {
  const columns = schema.tables.get(table)?.columns;
  const column = columns?.get(name);
  if (columns !== undefined && column !== undefined) columns.set(name, { ...column, ...patch });
}

function asColumn(column: NewColumn, since: number): Column {
  const { name, type, notNull, defaultValue, generated, identity, collation, serial } = column;
  return {
    name,
    type,
    notNull,
    defaultValue: serial ? true : defaultValue,
    generated,
    identity,
    collation,
    since,
  };
}
