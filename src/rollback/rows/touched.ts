/** Tables that a text has to do with, and those that their rows need. */
import { type Connection, userTables } from './catalogue.ts';

interface NamedTable {
  readonly oid: number;
  readonly name: string;
  /** Of its columns, and of what these are made of: those of users, since the name of another says nothing. */
  readonly types: readonly string[];
}

interface Link {
  readonly child: number;
  readonly parent: number;
}

/**
 * By names that occur in the text, wherever that is: also blocks of code, functions and views speak of tables. What
 * points to such a table is among them, since its rows go with those of the table; and what any of them points to.
 */
export async function touchedTables(connection: Connection, text: string): Promise<Set<number>> {
  const { rows } = await connection.query<NamedTable>(tablesSql);
  const { rows: links } = await connection.query<Link>(
    "select distinct conrelid as child, confrelid as parent from pg_catalog.pg_constraint where contype = 'f'",
  );
  const lower = text.toLowerCase();
  const words = new Set(lower.match(/[\p{L}\p{N}_$]+/gu) ?? []);
  const occurs = (name: string): boolean =>
    words.has(name.toLowerCase()) || (/[^\p{L}\p{N}_$]/u.test(name) && lower.includes(name.toLowerCase()));
  const known = new Set(rows.map(({ oid }) => oid));
  const named = new Set(
    rows.filter(({ name, types }) => occurs(name) || types.some(occurs)).map(({ oid }) => oid),
  );
  const children = links.filter(({ parent }) => named.has(parent)).map(({ child }) => child);
  const touched = new Set([...named, ...children]);
  const parents = new Map<number, number[]>();
  for (const { child, parent } of links) parents.set(child, [...(parents.get(child) ?? []), parent]);
  for (const oid of touched) for (const parent of parents.get(oid) ?? []) touched.add(parent);
  return new Set([...touched].filter((oid) => known.has(oid)));
}

const tablesSql = `
  with types as (
    select a.attrelid, pg_catalog.array_agg(distinct y.typname::text) as names
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_type t on t.oid = a.atttypid
      join pg_catalog.pg_type y on y.oid in (t.oid, t.typelem, t.typbasetype) and y.oid >= 16384
     where a.attnum > 0 and not a.attisdropped group by a.attrelid)
  select c.oid, c.relname as name, coalesce(types.names, '{}') as types
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join types on types.attrelid = c.oid
   where ${userTables} and not c.relispartition`;
