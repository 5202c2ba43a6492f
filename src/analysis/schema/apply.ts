/** Carries a schema over one change. What a change names and the schema does not know is passed over. */
import type { Change, ChangeKind, ChangeOf, NewConstraint } from '../changes/change.ts';
import { asDefault } from '../changes/columns.ts';
import {
  addConstraint,
  changeType,
  childrenOf,
  dropColumn,
  dropConstraint,
  dropIndex,
  dropTable,
  dropType,
  hasIndex,
  moveIndex,
  moveTable,
  moveType,
  patchColumn,
  renameColumn,
} from './edit.ts';
import { asColumn, cloneIndex, columnsOf, takeOver } from './inherit.ts';
import type { Table } from './model.ts';
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
  addColumn,
  dropColumn: (schema, { table, column }) => {
    const known = schema.tables.get(table);
    if (known !== undefined) dropColumn(schema, known, column);
  },
  renameColumn: (schema, { table, column, to }) => {
    const known = schema.tables.get(table);
    if (known !== undefined) renameColumn(schema, known, column, to);
  },
  changeType: (schema, { table, column, type, collation }) =>
    changeType(schema, table, column, { type, collation }),
  setDefault: (schema, { table, column, value }) =>
    patchColumn(schema, table, column, { defaultValue: asDefault(value) }),
  dropDefault: (schema, { table, column }) => patchColumn(schema, table, column, { defaultValue: null }),
  setNotNull: (schema, { table, column }) => patchColumn(schema, table, column, { notNull: true }),
  dropNotNull: (schema, { table, column }) => {
    patchColumn(schema, table, column, { notNull: false });
    const constraints = schema.tables.get(table)?.constraints;
    for (const { name, kind, columns } of constraints?.values() ?? [])
      if (kind === 'notNull' && columns.includes(column)) constraints?.delete(name);
  },
  changeGenerated: (schema, { table, column, to }) => {
    if (to === 'plain') patchColumn(schema, table, column, { generated: null });
    if (to === 'identity' || to === 'noIdentity')
      patchColumn(schema, table, column, { identity: to === 'identity' });
  },
  addConstraint: (schema, { table, constraint }, since) => {
    const known = schema.tables.get(table);
    if (known !== undefined) addConstraint(schema, known, constraint, since);
  },
  validateConstraint: (schema, { table, name }) => validateConstraint(schema, table, name),
  dropConstraint: (schema, { table, name, cascade }) => {
    const known = schema.tables.get(table);
    if (known !== undefined) dropConstraint(schema, known, name, cascade);
  },
  renameConstraint: (schema, { table, name, to }) => renameConstraint(schema, table, name, to),
  attachPartition: (schema, { table, partition, isDefault }, since) => {
    const known = schema.tables.get(partition);
    const parent = schema.tables.get(table);
    if (known === undefined) return;
    const attached = { ...known, parents: [...known.parents, table], isDefault };
    schema.tables.set(partition, attached);
    schema.hasChildren = true;
    if (parent !== undefined) takeOver(schema, attached, parent, all, since);
  },
  detachPartition: (schema, { table, partition }) => {
    const known = schema.tables.get(partition);
    if (known !== undefined)
      schema.tables.set(partition, {
        ...known,
        parents: known.parents.filter((parent) => parent !== table),
        isDefault: false,
      });
  },
  createIndex: (schema, change, since) => {
    if (schema.indexes.has(change.index)) return;
    const { index: key, name, table, columns, expressionColumns, unique, partial, only } = change;
    const index = { key, name, table, columns, expressionColumns, unique, partial, since };
    schema.indexes.set(key, index);
    const known = schema.tables.get(table);
    known?.indexes.add(key);
    if (known?.kind === 'partitioned' && !only)
      for (const partition of childrenOf(schema, table)) cloneIndex(schema, partition, index, since);
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
  renameType: (schema, { type, to }) => moveType(schema, type, keyOf(splitKey(type).schema, to)),
  dropType: (schema, { type }) => dropType(schema, type),
  constrainDomain: (schema, { type }) => {
    const known = schema.types.get(type);
    if (known !== undefined) schema.types.set(type, { ...known, constrained: true });
  },
  createView: (schema, { view: key, name, schema: inSchema, temporary }, since) => {
    if (!schema.tables.has(key))
      schema.tables.set(key, { ...emptyTable(key, inSchema, name, since), kind: 'view', temporary });
  },
  createFunction: (schema, change, since) => {
    const { function: key, name, volatility, language, body, definition } = change;
    schema.functions.set(key, { key, name, volatility, language, body, definition, since });
  },
  dropFunction: (schema, { function: key }) => void schema.functions.delete(key),
  createSchema: (schema, { schema: name }) => void schema.schemas.add(name),
  renameSchema: (schema, { schema: name, to }) => {
    schema.schemas.delete(name);
    schema.schemas.add(to);
    for (const table of [...schema.tables.values()])
      if (table.schema === name) moveTable(schema, table.key, keyOf(to, table.name));
    for (const { key, name: type } of [...schema.types.values()])
      if (splitKey(key).schema === name) moveType(schema, key, keyOf(to, type));
    for (const called of [...schema.functions.values()]) {
      if (splitKey(called.key).schema !== name) continue;
      const key = keyOf(to, called.name);
      schema.functions.delete(called.key);
      schema.functions.set(key, { ...called, key });
    }
  },
  dropSchema: (schema, { schema: name }) => {
    schema.schemas.delete(name);
    for (const table of [...schema.tables.values()]) if (table.schema === name) dropTable(schema, table.key);
    for (const type of [...schema.types.keys()]) if (splitKey(type).schema === name) dropType(schema, type);
    for (const key of [...schema.functions.keys()])
      if (splitKey(key).schema === name) schema.functions.delete(key);
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
  isDefault: false,
  partitionColumns: [],
});

/** What a partition has of its table. */
const all = { checks: true, indexes: true, foreign: true };

function createTable(schema: Schema, change: ChangeOf<'createTable'>, since: number): void {
  if (schema.tables.has(change.table)) return;
  const { parents, like } = change;
  const table: Table = {
    ...emptyTable(change.table, change.schema, change.name, since),
    kind: change.tableKind,
    temporary: change.temporary,
    columns: columnsOf(schema, parents, like, change.columns, since),
    columnsKnown: change.columnsKnown,
    parents,
    isDefault: change.isDefault,
    partitionColumns: change.partitionColumns,
  };
  schema.tables.set(table.key, table);
  if (parents.length > 0) schema.hasChildren = true;
  // In a table without rows there is nothing to validate: NOT VALID is passed over.
  for (const constraint of inOrder(change.constraints))
    addConstraint(schema, table, { ...constraint, notValid: false }, since);
  for (const clause of like) {
    const from = schema.tables.get(clause.table);
    const { constraints: checks, indexes } = clause;
    if (from !== undefined) takeOver(schema, table, from, { checks, indexes, foreign: false }, since);
  }
  for (const parent of parents) {
    const from = schema.tables.get(parent);
    const what = change.isPartition ? all : { checks: true, indexes: false, foreign: false };
    if (from !== undefined) takeOver(schema, table, from, what, since);
  }
}

const order: readonly NewConstraint['kind'][] = [
  'notNull',
  'check',
  'primary',
  'unique',
  'exclusion',
  'foreign',
];

/** As PostgreSQL makes the constraints of one statement. `UNIQUE PRIMARY KEY` is one index. */
function inOrder(constraints: readonly NewConstraint[]): NewConstraint[] {
  const rank = ({ kind }: NewConstraint): number => order.indexOf(kind);
  const sorted = [...constraints].sort((a, b) => rank(a) - rank(b));
  return sorted.filter(
    ({ kind, columns }, index) =>
      kind !== 'unique' ||
      !sorted
        .slice(0, index)
        .some(
          (other) =>
            (other.kind === 'primary' || other.kind === 'unique') && other.columns.join() === columns.join(),
        ),
  );
}

function addColumn(
  schema: Schema,
  { table, column }: Pick<ChangeOf<'addColumn'>, 'table' | 'column'>,
  since: number,
): void {
  const known = schema.tables.get(table);
  if (known === undefined || known.columns.has(column.name)) return;
  known.columns.set(column.name, asColumn(column, since));
  for (const child of childrenOf(schema, table))
    addColumn(schema, { table: child.key, column: { ...column, constraints: [] } }, since);
  for (const constraint of inOrder(column.constraints)) addConstraint(schema, known, constraint, since);
}

function validateConstraint(schema: Schema, table: string, name: string): void {
  const constraints = schema.tables.get(table)?.constraints;
  const constraint = constraints?.get(name);
  if (constraints === undefined || constraint === undefined) return;
  constraints.set(name, { ...constraint, valid: true });
  if (constraint.kind === 'notNull')
    for (const column of constraint.columns) patchColumn(schema, table, column, { notNull: true });
  if (constraint.kind === 'check')
    for (const child of childrenOf(schema, table)) validateConstraint(schema, child.key, name);
}

function renameConstraint(schema: Schema, table: string, name: string, to: string): void {
  const known = schema.tables.get(table);
  const constraint = known?.constraints.get(name);
  if (known === undefined || constraint === undefined) return;
  known.constraints.delete(name);
  known.constraints.set(to, { ...constraint, name: to });
  if (hasIndex(constraint.kind)) moveIndex(schema, keyOf(known.schema, name), keyOf(known.schema, to));
  if (constraint.kind === 'check')
    for (const child of childrenOf(schema, table)) renameConstraint(schema, child.key, name, to);
}
