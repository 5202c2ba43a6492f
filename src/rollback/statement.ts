/** What a statement of the difference does, as far as data has to do with it. */

export interface TableStatement {
  readonly kind:
    | 'addColumn'
    | 'dropColumn'
    | 'setNotNull'
    | 'dropDefault'
    | 'type'
    | 'constraint'
    | 'renameConstraint';
  /** Quoted, with its schema, as all names here. */
  readonly table: string;
  /** Of the column or the constraint. */
  readonly name: string;
  /** What follows: of a column its type and what else it is, of a type change the type, of a constraint its definition. */
  readonly rest: string;
}

const name = '"(?:[^"]|"")*"';
const alterTable = new RegExp(`^ALTER TABLE (?<table>${name}\\.${name}) (?<what>.*)$`, 's');
const forms: readonly (readonly [TableStatement['kind'], RegExp])[] = [
  ['addColumn', new RegExp(`^ADD COLUMN (?<name>${name}) (?<rest>.*)$`, 's')],
  ['dropColumn', new RegExp(`^DROP COLUMN (?<name>${name})(?<rest>)$`)],
  ['setNotNull', new RegExp(`^ALTER COLUMN (?<name>${name}) (?<rest>SET NOT NULL)$`)],
  ['dropDefault', new RegExp(`^ALTER COLUMN (?<name>${name}) (?<rest>DROP DEFAULT)$`)],
  ['type', new RegExp(`^ALTER COLUMN (?<name>${name}) TYPE (?<rest>.*) USING .*$`, 's')],
  ['constraint', new RegExp(`^ADD CONSTRAINT (?<name>${name}) (?<rest>.*)$`, 's')],
  ['renameConstraint', new RegExp(`^RENAME CONSTRAINT ${name} TO (?<name>${name})(?<rest>)$`, 's')],
];

/** Statements of the difference have one form each. Null for those that speak of nothing that has data. */
export function readTableStatement(sql: string): TableStatement | null {
  const { table, what } = alterTable.exec(sql)?.groups ?? {};
  if (table === undefined || what === undefined) return null;
  for (const [kind, form] of forms) {
    const found = form.exec(what)?.groups;
    if (found !== undefined) return { kind, table, name: found.name ?? '', rest: found.rest ?? '' };
  }
  return null;
}

export const createdTable = (sql: string): string | null =>
  new RegExp(`^CREATE (?:UNLOGGED )?TABLE (${name}\\.${name}) `).exec(sql)?.[1] ?? null;

/** Of a type or a domain, as `droppedType`. */
export const createdType = (sql: string): string | null =>
  new RegExp(`^CREATE (?:TYPE|DOMAIN) (${name}\\.${name}) `).exec(sql)?.[1] ?? null;

/** Of a type or a domain. */
export const droppedType = (sql: string): string | null =>
  new RegExp(`^DROP (?:TYPE|DOMAIN) (${name}\\.${name})$`).exec(sql)?.[1] ?? null;

/** Of an index on a table; null for any other statement. */
export function createdIndex(sql: string): { table: string; columns: string } | null {
  const found = /^CREATE (?:UNIQUE )?INDEX \S.*? ON (?:ONLY )?(\S.*?) USING (.*)$/s.exec(sql);
  return found === null ? null : { table: found[1] ?? '', columns: found[2] ?? '' };
}

/** In quotes; of an index, which PostgreSQL prints itself, as it prints it. Null where nothing has data. */
export const createdName = (sql: string): string | null =>
  new RegExp(`^CREATE (?:MATERIALIZED )?VIEW (${name}\\.${name}) `).exec(sql)?.[1] ??
  /^CREATE (?:UNIQUE )?INDEX (\S+) /.exec(sql)?.[1] ??
  null;

/** Of a name with its schema. */
export const partsOf = (qualified: string): string[] =>
  (qualified.match(/"(?:[^"]|"")*"|[^".]+/g) ?? []).map(unquotedPart);

/** A regular expression of a name as PostgreSQL prints it: in quotes where it must be. */
export const nameOf = `(?:${name}|[^\\s".]+)`;

/** Without the quotes. */
export const unquoted = (qualified: string): string => partsOf(qualified).join('.');

const unquotedPart = (part: string): string =>
  part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;

/** Whether a text, in which PostgreSQL quotes only what it must, names a column. */
export function mentions(text: string, quoted: string): boolean {
  const bare = unquoted(quoted);
  return (
    text.includes(quoted) ||
    new RegExp(`(?<![\\w$"])${bare.replace(/[\\^$.|?+*()[\]{}]/g, '\\$&')}(?![\\w$"])`).test(text)
  );
}

/** The same of a relation with its schema. In doubt it does. */
export function mentionsRelation(text: string, qualified: string): boolean {
  const bare = unquoted(qualified).replace(/[\\^$.|?+*()[\]{}]/g, '\\$&');
  return new RegExp(`(?<![\\w$])${bare}(?![\\w$])`).test(text.replaceAll('"', ''));
}
