/** Words that many rules share, so that all of them read alike. */
import type { LockMode } from './changes/change.ts';
import { type Context, quoted } from './context.ts';
import { blockedBy } from './locks.ts';
import { type Schema, splitKey } from './schema/schema.ts';

/** `ACCESS EXCLUSIVE on "users", which blocks reads and writes`. */
export function lockOn(context: Context, table: string, mode: LockMode): string {
  const blocks = blockedBy(mode);
  const name = context.name(table);
  return blocks === 'nothing'
    ? `${mode} on ${name}, which blocks neither reads nor writes`
    : `${mode} on ${name}, which blocks ${blocks}`;
}

/** `"a"`, `"a" and "b"`, `"a", "b" and "c"`. */
export function listed(items: readonly string[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** Columns in parentheses, as SQL wants them. */
export const columnList = (context: Context, columns: readonly string[]): string =>
  `(${columns.map((column) => context.quote(column)).join(', ')})`;

/** The name of a constraint, for a remedy. */
export const constraintName = (context: Context, name: string): string => context.quote(name);

/** A statement's text on one line, without comments; what is in quotes stays as it is. */
export const oneLine = (text: string): string =>
  text
    .replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|(?:\s|--[^\n]*|\/\*[\s\S]*?\*\/)+/g, (part) =>
      /^['"]/.test(part) ? part : ' ',
    )
    .trim();

/** An identifier of at most 63 bytes made of parts. */
export const madeName = (context: Context, ...parts: string[]): string =>
  context.quote(parts.join('_').slice(0, 63));

/** A table's name in quotes, with its schema where that is not the default one: for rules that look at a whole file. */
export function quotedTable(key: string, schema: Schema): string {
  const { schema: inSchema, name } = splitKey(key);
  return inSchema === schema.defaultPath[0] ? quoted(name) : `${quoted(inSchema)}.${quoted(name)}`;
}

/** Columns in quotes and parentheses. */
export const quotedColumns = (columns: readonly string[]): string => `(${columns.map(quoted).join(', ')})`;
