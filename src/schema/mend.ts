/** What is wrong in pg-delta's statements, and put right here. Each of these has its change in the tests. */
import type { Action } from '@supabase/pg-delta/plan';
import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Model } from './model.ts';

/** Statements that are not needed, or harm: `all` are those that it is one of. */
export function superfluous(from: Model, all: readonly Action[]): (action: Action) => boolean {
  const made = new Set(all.flatMap(({ verb, produces }) => (verb === 'create' ? produces.map(keyOf) : [])));
  const last = new Map(all.map((action) => [action.sql, action]));
  return (action) =>
    // Where a column gets another type and a default at once, the default is set twice: before the type is there, and
    // after the column has it.
    (/^ALTER TABLE .* SET DEFAULT /.test(action.sql) && last.get(action.sql) !== action) ||
    dropsNothing(action, from) ||
    (/^ALTER .* OWNER TO "[^"]*"$/.test(action.sql) && saysOwner(action, from, made));
}

/** Before a type change it takes a default away, whether there is one or not. */
function dropsNothing({ sql, consumes }: Action, from: Model): boolean {
  if (!/^ALTER TABLE \S.* ALTER COLUMN \S.* DROP DEFAULT$/.test(sql)) return false;
  return consumes.some((id) => id.kind === 'column' && !from.facts.has({ ...id, kind: 'default' }));
}

const keyOf = (id: object): string => JSON.stringify(id);

/** What is made belongs to the role that makes it, and a column's sequence to whom the table belongs. */
function saysOwner({ consumes }: Action, from: Model, made: ReadonlySet<string>): boolean {
  const own = consumes.some((id) => id.kind === 'role' && id.name === from.role);
  if (own && consumes.some((id) => made.has(keyOf(id)))) return true;
  return consumes.some((id) => id.kind === 'sequence' && from.facts.get(id)?.payload.ownedBy != null);
}

/** The statement, put right. */
export function mending(from: Model, to: Model): (action: Action) => string {
  const [enumsBefore, enumsAfter] = [enumsOf(from), enumsOf(to)];
  return ({ sql: given, produces, consumes }) => {
    // Names that nobody should have to read.
    const sql = given.replaceAll('__pgdelta_replaced"', '__replaced"');
    // PostgreSQL prints the index of a partitioned table with ONLY, which makes one that stays invalid: the indexes of
    // the partitions, which pg-delta does not look at, would have to be attached to it.
    if (produces.some(({ kind }) => kind === 'index'))
      return sql.replace(/^(CREATE (?:UNIQUE )?INDEX .*?) ON ONLY /, '$1 ON ');
    // There is no cast from one enum to another, but by way of their labels.
    const [, type = '', array = ''] = / USING "(?:[^"]|"")*"::(.*?)((?:\[\])*)$/.exec(sql) ?? [];
    const column = consumes.find(({ kind }) => kind === 'column');
    const was = column === undefined ? undefined : from.facts.get(column)?.payload.type;
    if (!enumsAfter.has(type) || typeof was !== 'string' || !enumsBefore.has(was.replace(/(\[\])+$/, '')))
      return sql;
    return `${sql.slice(0, sql.length - `::${type}${array}`.length)}::text${array}::${type}${array}`;
  };
}

/** As PostgreSQL prints them as the type of a column. */
const enumsOf = ({ facts }: Model): ReadonlySet<string> =>
  new Set(
    facts.facts().flatMap(({ id, payload }) => {
      if (id.kind !== 'type' || payload.variant !== 'enum') return [];
      const forms = (name: string): string[] => [name, quoteIdentifier(name)];
      return forms(id.schema).flatMap((schema) => forms(id.name).map((name) => `${schema}.${name}`));
    }),
  );

/** What is revoked from a role on a table is revoked on its columns, too: gives back what it is to have there. */
export function columnGrants(to: Model, all: readonly Action[]): string[] {
  const revoked = new Set(
    all
      .filter(({ sql }) => sql.startsWith('REVOKE '))
      .flatMap(({ produces, consumes, destroys, releases }) => [
        ...[...produces, ...consumes, ...destroys, ...releases].flatMap((id) =>
          id.kind === 'acl' && id.column === undefined ? [keyOf([id.target, id.grantee])] : [],
        ),
      ]),
  );
  return to.facts.facts().flatMap(({ id, payload }) => {
    if (id.kind !== 'acl' || id.column === undefined) return [];
    if (!revoked.has(keyOf([id.target, id.grantee])) || !('schema' in id.target && 'name' in id.target))
      return [];
    const column = quoteIdentifier(id.column);
    const on = qualify(id.target.schema, id.target.name);
    const role = id.grantee === 'PUBLIC' ? 'PUBLIC' : quoteIdentifier(id.grantee);
    const grant = (privileges: unknown, how: string): string[] =>
      Array.isArray(privileges) && privileges.length > 0
        ? [
            `GRANT ${privileges.map((name) => `${String(name)} (${column})`).join(', ')} ON ${on} TO ${role}${how}`,
          ]
        : [];
    return [...grant(payload.privileges, ''), ...grant(payload.grantable, ' WITH GRANT OPTION')];
  });
}

/**
 * Whether a table is to be made that has a unique constraint over the columns of its primary key. Where both stand in
 * one CREATE TABLE, as compact statements have it, PostgreSQL makes but one of them.
 */
export function makesTwins(from: Model, to: Model): boolean {
  const seen = new Set<string>();
  return to.facts.facts().some(({ id, payload }) => {
    if (id.kind !== 'constraint' || typeof payload.def !== 'string') return false;
    const columns = /^(?:UNIQUE|PRIMARY KEY) (\(.*\))$/.exec(payload.def)?.[1];
    if (columns === undefined || from.facts.has({ kind: 'table', schema: id.schema, name: id.table }))
      return false;
    const key = keyOf([id.schema, id.table, columns]);
    return seen.size === seen.add(key).size;
  });
}
