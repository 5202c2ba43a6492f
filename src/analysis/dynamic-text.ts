/** The text that an EXECUTE runs, as far as its expression shows. */
import { substitute, type Variables } from '../sql/plpgsql-variables.ts';
import { constantOf, type Node, parseExpression, strings } from '../sql/tree.ts';

/** Around a name that stands for what only the server knows; bare, too, the grammar takes it for an identifier. */
const marks = /‹[^›]*›/g;

/** Whether a name or a text has a part that only the server knows. */
export const isGuessed = (text: string): boolean => text.includes('‹');

/**
 * The text that `'a' || variable` or `format('…', 'constant')` makes, with `‹variable›` for what is not known; null
 * where nothing else is in it.
 */
export function dynamicText(expression: string, variables: Variables): string | null {
  const node = parseExpression(expression);
  if (node === null) return null;
  const text = textOf(substitute(node, variables));
  return text.replace(marks, '').trim() === '' ? null : text;
}

function textOf(node: Node): string {
  const constant = constantOf(node);
  if (constant !== null) return constant;
  if ('TypeCast' in node && node.TypeCast.arg !== undefined) return textOf(node.TypeCast.arg);
  if ('A_Expr' in node && strings(node.A_Expr.name).at(-1) === '||') {
    const { lexpr, rexpr } = node.A_Expr;
    return [lexpr, rexpr].map((part) => (part === undefined ? '' : textOf(part))).join('');
  }
  if ('ColumnRef' in node) return `‹${strings(node.ColumnRef.fields).at(-1) ?? '…'}›`;
  return 'FuncCall' in node ? called(node.FuncCall) : '‹…›';
}

function called({ funcname, args }: { funcname?: readonly Node[]; args?: readonly Node[] }): string {
  const name = strings([...(funcname ?? [])]).at(-1) ?? '…';
  const [first = '', ...rest] = (args ?? []).map(textOf);
  if (name === 'quote_ident') return quoted(first);
  if (name === 'quote_literal') return literal(first);
  if (name === 'concat') return [first, ...rest].join('');
  return name === 'format' ? formatted(first, rest) : `‹${name}›`;
}

/** As quote_ident() does: bare, unless it is a word of the grammar or has other characters in it. */
function quoted(name: string): string {
  const bare = /^[a-z_‹][a-z0-9_‹›…]*$/.test(name) ? parseExpression(name) : null;
  return bare !== null && 'ColumnRef' in bare ? name : `"${name.replaceAll('"', '""')}"`;
}
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function formatted(pattern: string, values: readonly string[]): string {
  let next = 0;
  return pattern.replace(/%(?:(\d+)\$)?(%|I|L|s)/g, (_match, place: string | undefined, kind: string) => {
    if (kind === '%') return '%';
    if (place !== undefined) next = Number(place) - 1;
    const value = values[next] ?? '';
    next += 1;
    if (kind === 'I') return quoted(value);
    return kind === 'L' ? literal(value) : value;
  });
}
