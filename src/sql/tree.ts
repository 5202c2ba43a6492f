/** PostgreSQL's parse tree, as `libpg-query` types it, and what every reader of it needs. */
import type { Node, RangeVar, TypeName } from 'libpg-query';
import { parse } from './parse.ts';

export type * from 'libpg-query';

/** The one key of a node, its type, with what stands under it. */
export function unwrap(node: Node): readonly [kind: string, value: Readonly<Record<string, unknown>>] {
  const [entry] = Object.entries(node) as [string, Readonly<Record<string, unknown>>][];
  return entry ?? ['', {}];
}

/** The texts of a list of `String` nodes: the parts of a qualified name. */
export const strings = (nodes: readonly Node[] | undefined): string[] =>
  (nodes ?? []).flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []));

/** The parts of a name that stands as a `List`, a `TypeName` or a single `String`. */
export function nameParts(node: Node | undefined): string[] {
  if (node === undefined) return [];
  if ('List' in node) return strings(node.List.items);
  if ('TypeName' in node) return strings(node.TypeName.names);
  if ('String' in node) return [node.String.sval ?? ''];
  return [];
}

/** A name with the schema before it, or without one. */
export interface QualifiedName {
  readonly schema: string | null;
  readonly name: string;
}

export const qualified = (parts: readonly string[]): QualifiedName => ({
  schema: parts.at(-2) ?? null,
  name: parts.at(-1) ?? '',
});

export const relationName = (relation: RangeVar | undefined): QualifiedName => ({
  schema: relation?.schemaname ?? null,
  name: relation?.relname ?? '',
});

/** Calls `visit` for every node of a tree, from the root on; where it returns `false` nothing below is visited. */
export function visitNodes(
  tree: unknown,
  visit: (kind: string, value: Readonly<Record<string, unknown>>) => unknown,
): void {
  // Expressions may be nested more deeply than the stack allows.
  const pending: unknown[] = [tree];
  while (pending.length > 0) {
    const next = pending.pop();
    if (next === null || typeof next !== 'object') continue;
    const inside: unknown[] = [];
    for (const [key, value] of Object.entries(next)) {
      if (value === null || typeof value !== 'object') continue;
      // Types begin with a capital, fields do not; a list's keys are digits.
      const isNode = key >= 'A' && key <= 'Zz' && !Array.isArray(value);
      if (isNode && visit(key, value as Readonly<Record<string, unknown>>) === false) continue;
      inside.push(value);
    }
    for (const value of inside.reverse()) pending.push(value);
  }
}

/** A constant's text: string, number or boolean. Null for anything that is not a constant. */
export function constantOf(node: Node | undefined): string | null {
  if (node === undefined) return null;
  if ('TypeCast' in node) return constantOf(node.TypeCast.arg);
  if (!('A_Const' in node)) return null;
  const constant = node.A_Const;
  if (constant.sval !== undefined) return constant.sval.sval ?? '';
  if (constant.ival !== undefined) return String(constant.ival.ival ?? 0);
  if (constant.fval !== undefined) return constant.fval.fval ?? '';
  if (constant.boolval !== undefined) return String(constant.boolval.boolval ?? false);
  return null;
}

/** The numbers in parentheses behind a type: `numeric(10, 2)` gives 10 and 2. */
export const modifiersOf = (type: TypeName): number[] =>
  (type.typmods ?? []).flatMap((node) => {
    const text = constantOf(node);
    return text === null || Number.isNaN(Number(text)) ? [] : [Number(text)];
  });

/** An expression's tree; null where it does not parse. */
export function parseExpression(expression: string): Node | null {
  try {
    const [statement] = parse(`SELECT ${expression}`);
    const select = statement?.node.SelectStmt as { targetList?: Node[] } | undefined;
    const target = select?.targetList?.[0];
    return target !== undefined && 'ResTarget' in target ? (target.ResTarget.val ?? null) : null;
  } catch {
    return null;
  }
}
