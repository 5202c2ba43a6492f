/** What variables of PL/pgSQL code stand for, as far as its text says. */
import { constantOf, type Node, parseExpression, type SelectStmt, strings, visitNodes } from './tree.ts';

/**
 * SQL expressions by the variables' names; a record's field is `record.field`. None of them has a variable in it whose
 * value is known.
 */
export type Variables = ReadonlyMap<string, Node>;

/** A row of constants, by the names of its columns. */
export type Row = ReadonlyMap<string, Node>;

/** The expression with what its variables stand for in their places. */
export function substitute(node: Node, variables: Variables): Node {
  if (variables.size === 0) return node;
  const map = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(map);
    if (value === null || typeof value !== 'object') return value;
    if ('ColumnRef' in value) return variables.get(nameOf(value as Node) ?? '') ?? value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, map(inner)]));
  };
  return map(node) as Node;
}

const nameOf = (node: Node): string | null =>
  'ColumnRef' in node ? strings(node.ColumnRef.fields).join('.') : null;

/** Whether the answer is the database's, and may be another after the next statement. */
export function asksDatabase(node: Node): boolean {
  let asks = false;
  visitNodes(node, (kind, value) => {
    asks ||= kind === 'SubLink' || (kind === 'FuncCall' && calls(value as never, 'to_regclass'));
  });
  return asks;
}

const calls = ({ funcname }: { funcname?: Node[] }, name: string): boolean =>
  strings(funcname).at(-1) === name;

/** What `SELECT …` puts into a single variable. */
export function selectedValue(query: string): Node | null {
  const node = parseExpression(`(${query})`);
  const select = selectIn(node);
  const [target, second] = select?.targetList ?? [];
  const isPlain =
    select !== null && Object.keys(select).every((key) => ['targetList', 'limitOption', 'op'].includes(key));
  if (isPlain && second === undefined && target !== undefined && 'ResTarget' in target)
    return target.ResTarget.val ?? null;
  return node;
}

/** Whether `SELECT …` finds something; null where it always does, as a count does. */
export function foundBy(query: string): Node | null {
  const node = parseExpression(`EXISTS (${query})`);
  let computes = false;
  visitNodes(selectIn(node)?.targetList, (kind) => {
    computes ||= kind === 'FuncCall';
  });
  return computes ? null : node;
}

function selectIn(node: Node | null): SelectStmt | null {
  const select = node !== null && 'SubLink' in node ? node.SubLink.subselect : undefined;
  return select !== undefined && 'SelectStmt' in select ? select.SelectStmt : null;
}

/** The constants that `ARRAY['a', 'b']` or `'{a,b}'` lists; null where it is something else. */
export function arrayItems(node: Node | undefined): Node[] | null {
  if (node === undefined) return null;
  if ('TypeCast' in node) return arrayItems(node.TypeCast.arg);
  if ('A_ArrayExpr' in node) return allConstants(node.A_ArrayExpr.elements ?? []);
  const text = /^\{([^{}"\\]*)\}$/.exec(constantOf(node) ?? '')?.[1]?.trim();
  if (text === undefined) return null;
  return text === '' ? [] : text.split(',').map((item) => literal(item.trim()));
}

const literal = (text: string): Node => ({ A_Const: { sval: { sval: text } } });

const allConstants = (nodes: readonly Node[]): Node[] | null =>
  nodes.every((node) => constantOf(node) !== null) ? [...nodes] : null;

/** The rows that a query of constants gives; null where only the server knows them. */
export function constantRows(query: string, variables: Variables): Row[] | null {
  const node = parseExpression(`(${query})`);
  const select = node === null ? null : selectIn(substitute(node, variables));
  return select === null ? null : rowsOf(select, []);
}

/** What else a SELECT may have leaves rows out, or makes others. */
const understood = ['targetList', 'fromClause', 'valuesLists', 'sortClause', 'limitOption', 'op'];

function rowsOf(select: SelectStmt, names: readonly string[]): Row[] | null {
  if (!Object.keys(select).every((key) => understood.includes(key))) return null;
  if (select.valuesLists !== undefined)
    return all(
      select.valuesLists.map((item) => {
        const values = 'List' in item ? allConstants(item.List.items ?? []) : null;
        return values === null
          ? null
          : new Map(values.map((value, index) => [names[index] ?? `column${index + 1}`, value]));
      }),
    );
  const [source, other] = select.fromClause ?? [];
  const targets = select.targetList ?? [];
  if (source === undefined) return targets.length === 1 ? unnestedAs(targets[0]) : null;
  const rows = other === undefined ? fromSource(source) : null;
  return rows === null ? null : all(rows.map((row) => pick(row, targets)));
}

const all = <T>(items: readonly (T | null)[]): T[] | null =>
  items.every((item) => item !== null) ? (items as T[]) : null;

/** `SELECT unnest(ARRAY[…])`. */
function unnestedAs(target: Node | undefined): Row[] | null {
  if (target === undefined || !('ResTarget' in target)) return null;
  const { name = 'unnest', val } = target.ResTarget;
  return unnested(val)?.map((item) => new Map([[name, item]])) ?? null;
}

/** The columns that are selected, where nothing is made of them. */
function pick(row: Row, targets: readonly Node[]): Row | null {
  const picked = targets.map((target): readonly (readonly [string, Node])[] | null => {
    const { name, val } = 'ResTarget' in target ? target.ResTarget : {};
    if (val === undefined || !('ColumnRef' in val)) return null;
    const { fields = [] } = val.ColumnRef;
    if (fields.some((field) => 'A_Star' in field)) return [...row];
    const column = strings(fields).at(-1) ?? '';
    const value = row.get(column);
    return value === undefined ? null : [[name ?? column, value]];
  });
  return picked.every((one) => one !== null) ? new Map(picked.flat()) : null;
}

function fromSource(source: Node): Row[] | null {
  if ('RangeSubselect' in source) {
    const { subquery, alias } = source.RangeSubselect;
    return subquery !== undefined && 'SelectStmt' in subquery
      ? rowsOf(subquery.SelectStmt, strings(alias?.colnames))
      : null;
  }
  if (!('RangeFunction' in source) || source.RangeFunction.ordinality === true) return null;
  const { functions, alias } = source.RangeFunction;
  const [first] = functions ?? [];
  const called = first !== undefined && 'List' in first ? first.List.items?.[0] : undefined;
  const name = strings(alias?.colnames)[0] ?? alias?.aliasname ?? 'unnest';
  return unnested(called)?.map((item) => new Map([[name, item]])) ?? null;
}

/** What `unnest(ARRAY[…])` gives. */
function unnested(node: Node | undefined): Node[] | null {
  if (node === undefined || !('FuncCall' in node) || !calls(node.FuncCall, 'unnest')) return null;
  const [array, other] = node.FuncCall.args ?? [];
  return other === undefined ? arrayItems(array) : null;
}
