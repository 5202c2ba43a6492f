import type { Session } from '../db/session.ts';
import { readTableStatement, unquoted } from './statement.ts';

/** Why statements of a difference cannot be: PostgreSQL gives no column another type that is part of a partition key. */
export async function retypedPartitionKeys(
  session: Session,
  statements: readonly string[],
): Promise<string[]> {
  const retyped = statements.flatMap((sql) => {
    const read = readTableStatement(sql);
    return read?.kind === 'type' ? [read] : [];
  });
  if (retyped.length === 0) return [];
  const { rows } = await session.query<{ relation: string; name: string; type: string }>(keysSql, [
    retyped.map(({ table }) => table),
    retyped.map(({ name }) => name),
    retyped.map(({ rest }) => rest),
  ]);
  return rows.map(
    ({ relation, name, type }) =>
      `The column ${unquoted(relation)}.${unquoted(name)} would have to become ${unquoted(type)} again: rows are divided into partitions by it, and PostgreSQL changes no type of such a column. Write a rollback.sql that makes the table anew, or leave the type as it is.`,
  );
}

/** The columns of a partition key, and of its expressions, go with the whole table: they depend on it. */
const keysSql = `
  with recursive retyped(relation, name, type, oid) as (
    select u.relation, u.name, u.type, pg_catalog.to_regclass(u.relation)::pg_catalog.oid
      from rows from (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.text[])) u(relation, name, type)
    union
    select r.relation, r.name, r.type, h.inhrelid from retyped r join pg_catalog.pg_inherits h on h.inhparent = r.oid)
  select distinct r.relation, r.name, r.type from retyped r
    join pg_catalog.pg_attribute a on a.attrelid = r.oid and pg_catalog.format('"%s"', pg_catalog.replace(a.attname, '"', '""')) = r.name
    join pg_catalog.pg_class c on c.oid = r.oid and c.relkind = 'p'
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = r.oid and d.objsubid = a.attnum
     and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = r.oid and d.refobjsubid = 0 and d.deptype = 'i'
   order by 1, 2`;
