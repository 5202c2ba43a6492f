/** The names that PostgreSQL chooses where a statement gives none. Source: ChooseConstraintName, ChooseIndexName. */
import { type IndexElem, type Node, strings } from '../../sql/tree.ts';
import type { ConstraintKind } from '../schema/model.ts';
import { splitKey } from '../schema/schema.ts';

const suffixes: Readonly<Record<ConstraintKind, string>> = {
  primary: 'pkey',
  unique: 'key',
  foreign: 'fkey',
  check: 'check',
  exclusion: 'excl',
  notNull: 'not_null',
};

/** `table` is the key. A number is appended later, where the name is taken. */
export function constraintName(table: string, columns: readonly string[], kind: ConstraintKind): string {
  // A check of several columns, and a primary key, have no column in their names.
  const listed = kind === 'primary' || (kind === 'check' && columns.length !== 1) ? [] : columns;
  return objectName(splitKey(table).name, listed, suffixes[kind]);
}

export const indexName = (table: string, columns: readonly string[]): string =>
  objectName(splitKey(table).name, columns, 'idx');

/** What stands for a part of an index in its name: a column, the function that is called, or `expr`. */
export const partName = (part: IndexElem): string => part.name ?? figure(part.expr) ?? 'expr';

/** Source: FigureColnameInternal in parse_target.c, the cases that an index can have. */
function figure(node: Node | undefined): string | null {
  if (node === undefined) return null;
  if ('ColumnRef' in node) return strings(node.ColumnRef.fields).at(-1) ?? null;
  if ('FuncCall' in node) return strings(node.FuncCall.funcname).at(-1) ?? null;
  if ('CollateClause' in node) return figure(node.CollateClause.arg);
  if ('TypeCast' in node)
    return figure(node.TypeCast.arg) ?? strings(node.TypeCast.typeName?.names).at(-1) ?? null;
  if ('CoalesceExpr' in node) return 'coalesce';
  if ('MinMaxExpr' in node) return node.MinMaxExpr.op === 'IS_GREATEST' ? 'greatest' : 'least';
  if ('CaseExpr' in node) return figure(node.CaseExpr.defresult) ?? 'case';
  return null;
}

/** An expression's name that is in the list already gets a number. */
export function distinctNames(names: readonly string[]): string[] {
  const taken: string[] = [];
  for (const name of names) {
    let free = name;
    for (let number = 1; taken.includes(free); number += 1) free = name + number;
    taken.push(free);
  }
  return taken;
}

/** PostgreSQL appends a number to a name of its own choice that is taken. */
export function firstFree(name: string, taken: (name: string) => boolean): string {
  let free = name;
  for (let number = 1; taken(free); number += 1) free = name + number;
  return free;
}

const longest = 63;
const bytes = (text: string): number => Buffer.byteLength(text);

/** Source: makeObjectName. Of a name that is too long the longer part gives way. */
function objectName(name: string, columns: readonly string[], label: string): string {
  let first = name;
  let second = '';
  for (const column of columns) {
    if (bytes(second) > longest) break;
    second += second === '' ? column : `_${column}`;
  }
  second = cut(second, longest);
  const room = longest - bytes(label) - 1 - (second === '' ? 0 : 1);
  let [firstBytes, secondBytes] = [bytes(first), bytes(second)];
  while (firstBytes + secondBytes > room)
    if (firstBytes > secondBytes) firstBytes -= 1;
    else secondBytes -= 1;
  first = cut(first, firstBytes);
  second = cut(second, secondBytes);
  return [first, ...(second === '' ? [] : [second]), label].join('_');
}

/** No character is cut in two. */
function cut(text: string, length: number): string {
  let kept = '';
  let used = 0;
  for (const character of text) {
    used += bytes(character);
    if (used > length) break;
    kept += character;
  }
  return kept;
}
