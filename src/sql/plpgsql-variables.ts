/**
 * What variables of PL/pgSQL code stand for, as far as its text says: SQL expressions by the variables' names. A record's
 * field is `record.field`.
 */
import { constantOf, type Node, parseExpression, type SelectStmt, strings } from './tree.ts';

export type Variables = ReadonlyMap<string, string>;

/** Variables may stand for others; one that stands for itself would never end. */
const deepest = 5;

/** The expression with what its variables stand for in their places. */
export function substitute(node: Node, variables: Variables, depth = 0): Node {
  if (variables.size === 0 || depth > deepest) return node;
  const map = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(map);
    if (value === null || typeof value !== 'object') return value;
    const known = standsFor(value as Node, variables);
    if (known !== null) return substitute(known, variables, depth + 1);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, map(inner)]));
  };
  return map(node) as Node;
}

function standsFor(node: Node, variables: Variables): Node | null {
  if (!('ColumnRef' in node)) return null;
  const value = variables.get(strings(node.ColumnRef.fields).join('.'));
  return value === undefined ? null : parseExpression(value);
}

/** The constants that `ARRAY['a', 'b']` or `'{a,b}'` lists; null where it is something else. */
export function arrayItems(node: Node | undefined): string[] | null {
  if (node === undefined) return null;
  if ('TypeCast' in node) return arrayItems(node.TypeCast.arg);
  if ('A_ArrayExpr' in node) return allTexts(node.A_ArrayExpr.elements ?? []);
  const text = /^\{([^{}"\\]*)\}$/.exec(constantOf(node) ?? '')?.[1];
  return text === undefined ? null : text.split(',').map((item) => item.trim());
}

function allTexts(nodes: readonly Node[]): string[] | null {
  const texts = nodes.flatMap((node) => constantOf(node) ?? []);
  return texts.length === nodes.length ? texts : null;
}

/** The rows that a query of constants gives, each by the names of its columns; null where only the server knows them. */
export function constantRows(query: string, variables: Variables): Map<string, string>[] | null {
  const node = parseExpression(`(${query})`);
  if (node === null || !('SubLink' in node)) return null;
  const select = substitute(node.SubLink.subselect ?? node, variables);
  return 'SelectStmt' in select ? rowsOf(select.SelectStmt, []) : null;
}

function rowsOf(select: SelectStmt, names: readonly string[]): Map<string, string>[] | null {
  if (select.whereClause !== undefined) return null;
  if (select.valuesLists !== undefined) {
    const rows = select.valuesLists.map((item) => ('List' in item ? allTexts(item.List.items ?? []) : null));
    return rows.some((row) => row === null)
      ? null
      : rows.map((row) => asRow(row ?? [], (index) => names[index] ?? `column${index + 1}`));
  }
  const [target, second] = select.targetList ?? [];
  const [source, other] = select.fromClause ?? [];
  if (target === undefined || second !== undefined || other !== undefined || !('ResTarget' in target))
    return null;
  const items = unnested(target.ResTarget.val);
  if (source === undefined)
    return items?.map((item) => asRow([item], () => target.ResTarget.name ?? 'unnest')) ?? null;
  return fromSource(source);
}

function fromSource(source: Node): Map<string, string>[] | null {
  if ('RangeSubselect' in source) {
    const { subquery, alias } = source.RangeSubselect;
    return subquery !== undefined && 'SelectStmt' in subquery
      ? rowsOf(subquery.SelectStmt, strings(alias?.colnames))
      : null;
  }
  if (!('RangeFunction' in source)) return null;
  const { functions, alias } = source.RangeFunction;
  const [first] = functions ?? [];
  const called = first !== undefined && 'List' in first ? first.List.items?.[0] : undefined;
  const name = strings(alias?.colnames)[0] ?? alias?.aliasname ?? 'unnest';
  return unnested(called)?.map((item) => asRow([item], () => name)) ?? null;
}

/** What `unnest(ARRAY[…])` gives. */
function unnested(node: Node | undefined): string[] | null {
  if (node === undefined || !('FuncCall' in node)) return null;
  return strings(node.FuncCall.funcname).at(-1) === 'unnest' ? arrayItems(node.FuncCall.args?.[0]) : null;
}

const asRow = (texts: readonly string[], name: (index: number) => string): Map<string, string> =>
  new Map(texts.map((text, index) => [name(index), asLiteral(text)]));

export const asLiteral = (text: string): string => `'${text.replaceAll("'", "''")}'`;
