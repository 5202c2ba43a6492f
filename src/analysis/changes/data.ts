/** Reads statements that touch rows. */
import {
  type CopyStmt,
  type DeleteStmt,
  type InsertStmt,
  type MergeStmt,
  type Node,
  qualified,
  relationName,
  type SelectStmt,
  strings,
  type TruncateStmt,
  type UpdateStmt,
  visitNodes,
} from '../../sql/tree.ts';
import { Schema } from '../schema/schema.ts';
import type { Change } from './change.ts';

/** Keys of the tables that a tree reads, and keys of the functions that it calls. */
export function reads(tree: unknown, schema: Schema): { tables: string[]; functions: string[] } {
  const tables = new Set<string>();
  const functions = new Set<string>();
  const local = new Set<string>();
  visitNodes(tree, (kind, value) => {
    if (kind === 'CommonTableExpr') local.add(String(value.ctename));
    if (kind === 'FuncCall') functions.add(schema.functionKey(qualified(strings(value.funcname as Node[]))));
    if (kind !== 'RangeVar') return;
    const name = relationName(value);
    if (!Schema.isBuiltIn(name.schema) && !(name.schema === null && local.has(name.name)))
      tables.add(schema.tableKey(name));
  });
  return { tables: [...tables], functions: [...functions] };
}

export function readInsert(node: InsertStmt, schema: Schema): Change[] {
  return [
    ...writesWithin(node.withClause, schema),
    {
      kind: 'insert',
      table: schema.tableKey(relationName(node.relation)),
      fromTables: reads(node.selectStmt, schema).tables,
      columnsNamed: node.cols !== undefined,
    },
    ...calls(node.selectStmt, schema),
  ];
}

export function readUpdate(node: UpdateStmt, schema: Schema): Change[] {
  return [
    ...writesWithin(node.withClause, schema),
    {
      kind: 'update',
      table: schema.tableKey(relationName(node.relation)),
      where: node.whereClause ?? null,
      columns: (node.targetList ?? []).flatMap((item) =>
        'ResTarget' in item ? [item.ResTarget.name ?? ''] : [],
      ),
      fromTables: reads([node.fromClause, node.withClause], schema).tables,
    },
    ...calls([node.targetList, node.fromClause], schema),
  ];
}

export function readDelete(node: DeleteStmt, schema: Schema): Change[] {
  return [
    ...writesWithin(node.withClause, schema),
    {
      kind: 'delete',
      table: schema.tableKey(relationName(node.relation)),
      where: node.whereClause ?? null,
      fromTables: reads([node.usingClause, node.withClause], schema).tables,
    },
  ];
}

export const readMerge = (node: MergeStmt, schema: Schema): Change[] => [
  { kind: 'merge', table: schema.tableKey(relationName(node.relation)) },
];

export function readSelect(node: SelectStmt, schema: Schema): Change[] {
  const { tables, functions } = reads(node, schema);
  const into = node.intoClause?.rel;
  const made: Change[] =
    into === undefined
      ? []
      : [
          madeByQuery(
            schema.newKey(relationName(into), into.relpersistence === 't'),
            into.relpersistence === 't',
            false,
          ),
        ];
  return [
    ...writesWithin(node.withClause, schema),
    ...settingsOf(node),
    { kind: 'select', functions, fromTables: tables },
    ...made,
  ];
}

/** A table made by a query: its columns are those of the query's result, which only the server knows. */
export function madeByQuery(
  table: string,
  temporary: boolean,
  ifNotExists: boolean,
  tableKind: 'table' | 'materialized' = 'table',
): Change {
  const dot = table.indexOf('.');
  return {
    kind: 'createTable',
    table,
    schema: table.slice(0, dot),
    name: table.slice(dot + 1),
    tableKind,
    temporary,
    ifNotExists,
    columns: [],
    columnsKnown: false,
    constraints: [],
    parents: [],
    isPartition: false,
    isDefault: false,
    partitionColumns: [],
    like: [],
  };
}

/** `set_config('search_path', 'a', false)` sets as SET does. */
function settingsOf(node: SelectStmt): Change[] {
  const found: Change[] = [];
  visitNodes(node.targetList, (kind, value) => {
    if (kind !== 'FuncCall' || strings(value.funcname as Node[]).at(-1) !== 'set_config') return;
    const [name, setting, local] = ((value.args ?? []) as Node[]).map(textOf);
    if (name === undefined || name === null) return;
    found.push({
      kind: 'setting',
      name: name.toLowerCase(),
      value: setting ?? null,
      local: local === 'true',
    });
  });
  return found;
}

function textOf(node: Node): string | null {
  if (!('A_Const' in node)) return null;
  const { sval, boolval } = node.A_Const;
  return sval?.sval ?? (boolval === undefined ? null : String(boolval.boolval ?? false));
}

/** Data-modifying statements of a WITH. */
function writesWithin(clause: unknown, schema: Schema): Change[] {
  const found: Change[] = [];
  visitNodes(clause, (kind, value) => {
    if (kind === 'InsertStmt') found.push(...readInsert(value, schema));
    else if (kind === 'UpdateStmt') found.push(...readUpdate(value, schema));
    else if (kind === 'DeleteStmt') found.push(...readDelete(value, schema));
    else return;
    return false;
  });
  return found;
}

function calls(tree: unknown, schema: Schema): Change[] {
  const { functions } = reads(tree, schema);
  const own = functions.filter((key) => schema.functions.has(key));
  return own.length === 0 ? [] : [{ kind: 'select', functions: own, fromTables: [] }];
}

export const readTruncate = (node: TruncateStmt, schema: Schema): Change[] =>
  (node.relations ?? []).flatMap((item) =>
    'RangeVar' in item
      ? [
          {
            kind: 'truncate' as const,
            table: schema.tableKey(relationName(item.RangeVar)),
            cascade: node.behavior === 'DROP_CASCADE',
          },
        ]
      : [],
  );

export const readCopy = (node: CopyStmt, schema: Schema): Change[] =>
  node.is_from === true && node.relation !== undefined
    ? [{ kind: 'copy', table: schema.tableKey(relationName(node.relation)) }]
    : [];
