/**
 * Decides conditions like `NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = '…')`, with which files make
 * themselves repeatable, from the schema as it is known.
 */
import type { Question } from '../sql/plpgsql.ts';
import { substitute } from '../sql/plpgsql-variables.ts';
import { type Node, parseExpression, strings, visitNodes } from '../sql/tree.ts';
import type { Schema } from './schema/schema.ts';
import { splitKey } from './schema/schema.ts';

/** Null where only the database can tell. */
export function decide({ expression, variables }: Question, schema: Schema): boolean | null {
  const node = parseExpression(expression);
  return node === null ? null : evaluate(substitute(node, variables), schema);
}

function evaluate(node: Node, schema: Schema): boolean | null {
  if ('A_Const' in node)
    return node.A_Const.boolval === undefined ? null : node.A_Const.boolval.boolval === true;
  if ('BoolExpr' in node) {
    const parts = (node.BoolExpr.args ?? []).map((part) => evaluate(part, schema));
    if (node.BoolExpr.boolop === 'NOT_EXPR') return parts[0] == null ? null : !parts[0];
    const decisive = node.BoolExpr.boolop === 'OR_EXPR';
    if (parts.includes(decisive)) return decisive;
    return parts.includes(null) ? null : !decisive;
  }
  if ('SubLink' in node && node.SubLink.subLinkType === 'EXISTS_SUBLINK')
    return exists(node.SubLink.subselect, schema);
  if ('NullTest' in node) {
    const found = regclass(node.NullTest.arg, schema);
    return found === null ? null : (node.NullTest.nulltesttype === 'IS_NULL') !== found;
  }
  return null;
}

/** Whether `to_regclass('…')` finds something. */
function regclass(node: Node | undefined, schema: Schema): boolean | null {
  if (node === undefined || !('FuncCall' in node)) return null;
  if (strings(node.FuncCall.funcname).at(-1) !== 'to_regclass' || !schema.complete) return null;
  const name = textOf(node.FuncCall.args?.[0]);
  if (name === null) return null;
  const parts = name.split('.').map((part) => part.replace(/^"(.*)"$/, '$1'));
  const qualified = { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? '' };
  return schema.tables.has(schema.tableKey(qualified)) || schema.indexes.has(schema.indexKey(qualified));
}

type Wanted = ReadonlyMap<string, string>;
type Search = (wanted: Wanted, schema: Schema) => boolean | null;

const anyTable = (wanted: Wanted, column: string, schema: Schema): boolean | null => {
  const name = wanted.get(column);
  return name === undefined ? null : tablesNamed(name, schema).length > 0;
};
const hasConstraint = (
  name: string | undefined,
  table: string | undefined,
  schema: Schema,
): boolean | null =>
  name === undefined
    ? null
    : (table === undefined ? [...schema.tables.values()] : tablesNamed(table, schema)).some((found) =>
        found.constraints.has(name),
      );
const hasColumn = (table: string | undefined, column: string | undefined, schema: Schema): boolean | null => {
  if (table === undefined || column === undefined) return null;
  const tables = tablesNamed(table, schema);
  return tables.some((found) => !found.columnsKnown)
    ? null
    : tables.some((found) => found.columns.has(column));
};
const ofConstraint: Search = (wanted, schema) =>
  hasConstraint(wanted.get('constraint_name'), wanted.get('table_name'), schema);

/** By the catalogue that is asked, the columns that may be asked for, and how it is answered. */
const searches: Readonly<Record<string, readonly [columns: readonly string[], Search]>> = {
  pg_type: [
    ['typname', 'nspname'],
    (wanted, schema) => {
      const name = wanted.get('typname');
      return name === undefined ? null : [...schema.types.values()].some((type) => type.name === name);
    },
  ],
  pg_enum: [
    ['enumlabel', 'typname', 'enumtypid', 'nspname'],
    (wanted, schema) => {
      const label = wanted.get('enumlabel');
      const type = wanted.get('typname') ?? wanted.get('enumtypid');
      if (label === undefined || type === undefined) return null;
      return [...schema.types.values()].some((found) => found.name === type && found.labels.includes(label));
    },
  ],
  pg_constraint: [
    ['conname', 'conrelid', 'relname', 'nspname', 'contype'],
    (wanted, schema) =>
      hasConstraint(wanted.get('conname'), wanted.get('conrelid') ?? wanted.get('relname'), schema),
  ],
  table_constraints: [
    ['constraint_name', 'table_name', 'table_schema', 'constraint_schema', 'constraint_type'],
    ofConstraint,
  ],
  constraint_column_usage: [['constraint_name', 'table_name', 'table_schema'], ofConstraint],
  key_column_usage: [['constraint_name', 'table_name', 'table_schema'], ofConstraint],
  referential_constraints: [['constraint_name', 'constraint_schema'], ofConstraint],
  columns: [
    ['table_name', 'column_name', 'table_schema', 'table_catalog'],
    (wanted, schema) => hasColumn(wanted.get('table_name'), wanted.get('column_name'), schema),
  ],
  pg_attribute: [
    ['attrelid', 'attname', 'attisdropped', 'relname', 'nspname'],
    (wanted, schema) =>
      hasColumn(wanted.get('attrelid') ?? wanted.get('relname'), wanted.get('attname'), schema),
  ],
  tables: [
    ['table_name', 'table_schema', 'table_type'],
    (wanted, schema) => anyTable(wanted, 'table_name', schema),
  ],
  pg_tables: [['tablename', 'schemaname'], (wanted, schema) => anyTable(wanted, 'tablename', schema)],
  pg_indexes: [
    ['indexname', 'schemaname', 'tablename'],
    (wanted, schema) => {
      const name = wanted.get('indexname');
      return name === undefined ? null : hasIndex(name, schema);
    },
  ],
  pg_class: [
    ['relname', 'relkind', 'nspname', 'relnamespace'],
    (wanted, schema) => {
      const name = wanted.get('relname');
      return name === undefined ? null : tablesNamed(name, schema).length > 0 || hasIndex(name, schema);
    },
  ],
  pg_extension: [
    ['extname'],
    (wanted, schema) => {
      const name = wanted.get('extname');
      return name === undefined ? null : schema.extensions.has(name);
    },
  ],
  pg_proc: [
    ['proname', 'nspname'],
    (wanted, schema) => {
      const name = wanted.get('proname');
      return name === undefined ? null : [...schema.functions.values()].some((found) => found.name === name);
    },
  ],
};

const tablesNamed = (name: string, schema: Schema) => {
  const bare =
    name
      .split('.')
      .at(-1)
      ?.replace(/^"(.*)"$/, '$1') ?? name;
  return [...schema.tables.values()].filter((table) => table.name === bare);
};
const hasIndex = (name: string, schema: Schema): boolean =>
  [...schema.indexes.keys()].some((key) => splitKey(key).name === name);

function exists(subselect: Node | undefined, schema: Schema): boolean | null {
  if (!schema.complete || subselect === undefined || !('SelectStmt' in subselect)) return null;
  const catalogues: string[] = [];
  visitNodes(subselect.SelectStmt.fromClause, (kind, value) => {
    if (kind === 'RangeVar') catalogues.push(String(value.relname));
  });
  const wanted = new Map<string, string>();
  let others = 0;
  const conditions = [subselect.SelectStmt.whereClause, ...joinConditions(subselect.SelectStmt.fromClause)];
  for (const condition of conditions.flatMap(conjuncts)) {
    const equality = asEquality(condition);
    if (equality === 'join') continue;
    if (equality === null) others += 1;
    else wanted.set(...equality);
  }
  // Of a join the first catalogue that is understood is the one that is asked; pg_namespace and the like only qualify.
  const asked = ['pg_enum', 'pg_constraint', 'pg_attribute', ...catalogues].find(
    (name) => catalogues.includes(name) && searches[name] !== undefined,
  );
  const search = asked === undefined ? undefined : searches[asked];
  if (search === undefined) return null;
  const [known, answer] = search;
  const unknown = [...wanted.keys()].filter((column) => !known.includes(column)).length + others;
  const found = answer(wanted, schema);
  // With a condition that is not understood "there is none" stays true, "there is one" does not.
  return found === true && unknown > 0 ? null : found;
}

function joinConditions(from: readonly Node[] | undefined): Node[] {
  const found: Node[] = [];
  visitNodes(from, (kind, value) => {
    if (kind === 'JoinExpr' && value.quals !== undefined) found.push(value.quals as Node);
  });
  return found;
}

function conjuncts(node: Node | undefined): Node[] {
  if (node === undefined) return [];
  if ('BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR')
    return (node.BoolExpr.args ?? []).flatMap(conjuncts);
  return [node];
}

/** `column = 'constant'`; `join` for `a.x = b.y`, which wants nothing by itself. */
function asEquality(node: Node): [column: string, constant: string] | 'join' | null {
  if (!('A_Expr' in node) || strings(node.A_Expr.name).at(-1) !== '=') return null;
  const { lexpr, rexpr } = node.A_Expr;
  const left = columnOf(lexpr);
  const right = columnOf(rexpr);
  if (left !== null && right !== null) return 'join';
  // `table_schema = current_schema()` holds for everything that a migration makes.
  if (left !== null && rexpr !== undefined && /current_schema/i.test(JSON.stringify(rexpr))) return 'join';
  const column = left ?? right;
  const constant = textOf(left === null ? lexpr : rexpr);
  return column === null || constant === null ? null : [column, constant];
}

function columnOf(node: Node | undefined): string | null {
  return node !== undefined && 'ColumnRef' in node ? (strings(node.ColumnRef.fields).at(-1) ?? null) : null;
}

function textOf(node: Node | undefined): string | null {
  if (node === undefined) return null;
  if ('TypeCast' in node) return textOf(node.TypeCast.arg);
  return 'A_Const' in node ? (node.A_Const.sval?.sval ?? null) : null;
}
