/** Every fact of a schema, in words that are the same wherever the schema is the same. */
import { createHash } from 'node:crypto';
import type { Session } from '../db/session.ts';
import { factQueries } from './facts/index.ts';
import { columnsOf, common } from './facts/scope.ts';
import { withPrinting } from './settings.ts';

export interface Fingerprint {
  /** What an object is, by its kind and name (`column public.users.email`), in the order of the names. */
  readonly facts: ReadonlyMap<string, string>;
  /** SHA-256 of all of them. */
  readonly hash: string;
}

export interface FingerprintOptions {
  /** Objects that do not count, and all that belongs to them: `public.spatial_*`, `audit.*`, `pg_stat_statements`. */
  readonly ignore?: readonly string[];
}

/**
 * Reads the facts of all schemas but for those of PostgreSQL, of extensions and of ourselves; Prisma's history, physical
 * column order, collected statistics and sequences' values are none of them. One query, one moment; for the text of
 * expressions PostgreSQL locks their tables for an instant, as `SELECT` does. Also within a transaction.
 * @throws AppError `LOCK_TIMEOUT` where the session has a limit, and a table is locked
 */
export async function readFingerprint(
  session: Session,
  options: FingerprintOptions = {},
): Promise<Fingerprint> {
  const rows = await readRows(session);
  const ignored = ignoring(options.ignore ?? []);
  return fingerprintOf(rows.filter((row) => !ignored(row)).flatMap(factsOf));
}

interface FactRow {
  readonly kind: string;
  readonly schema: string | null;
  readonly object: string;
  readonly sub: string | null;
  readonly description: string;
  /** Null for the role that reads. */
  readonly owner: string | null;
  /** Null where they are what PostgreSQL grants by itself. */
  readonly grants: string | null;
}

async function readRows(session: Session): Promise<FactRow[]> {
  const { rows } = await session.query<{ major: number }>(
    "select pg_catalog.current_setting('server_version_num')::int / 10000 as major",
  );
  return await withPrinting(
    session,
    async () => (await session.query<FactRow>(factsSql(rows[0]?.major ?? 0))).rows,
  );
}

/** Each grantee's rights; the owner, who is another one in a copy, is called so. */
const grantsOf = (acl: string): string => `
  (select coalesce(string_agg(g.grantee || ': ' || g.rights || g.by, '; ' order by g.grantee, g.by), 'nobody')
     from (select case x.grantee when 0 then 'public' when f.owner then 'owner' else quote_ident(pg_get_userbyid(x.grantee)) end as grantee,
                  case when x.grantor = f.owner or f.owner is null then '' else ' by ' || quote_ident(pg_get_userbyid(x.grantor)) end as by,
                  string_agg(x.privilege_type || case when x.is_grantable then '*' else '' end, ', ' order by x.privilege_type) as rights
             from aclexplode(${acl}) x group by x.grantee, x.grantor) g)`;

const factsSql = (major: number): string => `
  with ${common},
  facts (${columnsOf}) as (
    ${factQueries.map((query) => query(major)).join('\n union all ')}
  )
  select f.kind, f.schema, f.object, f.sub, f.description,
         case when pg_get_userbyid(f.owner) not in (current_user, 'pg_database_owner') then pg_get_userbyid(f.owner) end as owner,
         case when f.acl is null then null
              when f.acl_type is null then ${grantsOf('f.acl')}
              else nullif(${grantsOf('f.acl')}, ${grantsOf('acldefault(f.acl_type::"char", f.owner)')}) end as grants
    from facts f`;

const nameOf = ({ schema, object, sub }: FactRow): string =>
  [schema, object, sub].filter((part) => part !== null).join('.');

function factsOf(row: FactRow): [string, string][] {
  const name = nameOf(row);
  // What they are is what they grant.
  if (row.kind === 'default privileges') return [[`default privileges ${name}`, row.grants ?? '']];
  const facts: [string, string][] = [[`${row.kind} ${name}`, row.description]];
  if (row.owner !== null) facts.push([`owner of ${row.kind} ${name}`, row.owner]);
  if (row.grants !== null) facts.push([`grants on ${row.kind} ${name}`, row.grants]);
  return facts;
}

/** `*` stands for any text. A pattern speaks of an object or of a whole schema, never of a part of an object. */
function ignoring(patterns: readonly string[]): (row: FactRow) => boolean {
  if (patterns.length === 0) return () => false;
  const alternatives = patterns.map((pattern) =>
    pattern
      .split('*')
      .map((text) => text.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
      .join('.*'),
  );
  const expression = new RegExp(`^(${alternatives.join('|')})$`);
  return ({ schema, object }) => expression.test(schema === null ? object : `${schema}.${object}`);
}

/** Of facts that were read before. */
export function fingerprintOf(facts: readonly (readonly [string, string])[]): Fingerprint {
  const sorted = facts.toSorted(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  const hash = createHash('sha256');
  for (const [name, text] of sorted) hash.update(`${name}\0${text}\0`);
  return { facts: new Map(sorted), hash: hash.digest('hex') };
}

/** Without what a copy does not have, unless it is asked for: to whom objects belong, and what is published. */
export const withoutOutward = ({ facts }: Fingerprint): Fingerprint =>
  fingerprintOf(
    [...facts].filter(
      ([object]) => !/^(?:owner of|(?:comment on )?publication(?: table| schema)?) /.test(object),
    ),
  );

/** One object that is not the same in two fingerprints. */
export interface Difference {
  /** `column public.users.email` */
  readonly object: string;
  /** Null where the object is not there. */
  readonly before: string | null;
  readonly after: string | null;
  /** `column public.users.email: text not null → text` */
  readonly words: string;
}

/** What differs, in the order of the names. */
export function compareFingerprints(before: Fingerprint, after: Fingerprint): Difference[] {
  if (before.hash === after.hash) return [];
  const names = new Set([...before.facts.keys(), ...after.facts.keys()]);
  return [...names].sort().flatMap((object) => {
    const [one = null, other = null] = [before.facts.get(object), after.facts.get(object)];
    return one === other
      ? []
      : [{ object, before: one, after: other, words: `${object}: ${contrast(one, other)}` }];
  });
}

const longest = 160;

function contrast(before: string | null, after: string | null): string {
  if (before === null) return `not there → ${shorten(after ?? '', 0) || 'there'}`;
  if (after === null) return `${shorten(before, 0) || 'there'} → not there`;
  let at = 0;
  while (at < before.length && before[at] === after[at]) at += 1;
  // Of long texts the part where they begin to differ.
  const from = before.length + after.length < 2 * longest || at < 40 ? 0 : at - 20;
  return `${shorten(before, from)} → ${shorten(after, from)}`;
}

function shorten(text: string, from: number): string {
  const part = text
    .slice(from, from + longest)
    .replace(/\s+/g, ' ')
    .trim();
  return `${from > 0 ? '… ' : ''}${part}${text.length > from + longest ? ' …' : ''}`;
}
