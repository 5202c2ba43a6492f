/** What PostgreSQL does not let a column have another type under: it goes before, and the difference makes it again. */
import type { Session } from '../db/session.ts';
import { readTableStatement } from './statement.ts';

/** SQL that drops it, the farthest first; for columns to which statements of a difference give another type. */
export async function findObstacles(session: Session, statements: readonly string[]): Promise<string[]> {
  const retyped = statements.flatMap((sql) => {
    const read = readTableStatement(sql);
    return read?.kind === 'type' ? [read] : [];
  });
  if (retyped.length === 0) return [];
  const { rows } = await session.query<{ command: string }>(obstaclesSql, [
    retyped.map(({ table }) => table),
    retyped.map(({ name }) => name),
  ]);
  return rows.map(({ command }) => command);
}

const obstaclesSql = `
  with recursive retyped(oid, attnum) as (
    select a.attrelid, a.attnum from rows from (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) u(relation, name)
      join pg_catalog.pg_attribute a on a.attrelid = pg_catalog.to_regclass(u.relation) and pg_catalog.format('"%s"', pg_catalog.replace(a.attname, '"', '""')) = u.name),
  uses(classid, objid) as (
    select d.classid, d.objid from retyped r join pg_catalog.pg_depend d
        on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = r.oid and d.refobjsubid = r.attnum),
  views(oid, depth) as (
    select r.ev_class, 1 from uses u join pg_catalog.pg_rewrite r on u.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = u.objid and r.rulename = '_RETURN'
    union
    select r.ev_class, v.depth + 1 from views v join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = v.oid
      join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = d.objid and r.rulename = '_RETURN' and r.ev_class <> v.oid
     where v.depth < 60)
  select command from (
    select pg_catalog.format('DROP POLICY %I ON %I.%I', p.polname, n.nspname, c.relname) as command, 1000 as rank
      from uses u join pg_catalog.pg_policy p on u.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and p.oid = u.objid
      join pg_catalog.pg_class c on c.oid = p.polrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    union
    select pg_catalog.format('DROP TRIGGER %I ON %I.%I', g.tgname, n.nspname, c.relname), 1000
      from uses u join pg_catalog.pg_trigger g on u.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and g.oid = u.objid and not g.tgisinternal and g.tgparentid = 0
      join pg_catalog.pg_class c on c.oid = g.tgrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    union
    select pg_catalog.format('DROP RULE %I ON %I.%I', r.rulename, n.nspname, c.relname), 1000
      from uses u join pg_catalog.pg_rewrite r on u.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = u.objid and r.rulename <> '_RETURN'
      join pg_catalog.pg_class c on c.oid = r.ev_class join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    union
    select pg_catalog.format('DROP %s %I.%I', case c.relkind when 'm' then 'MATERIALIZED VIEW' else 'VIEW' end, n.nspname, c.relname), v.depth
      from (select oid, max(depth) as depth from views group by oid) v
      join pg_catalog.pg_class c on c.oid = v.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace) d
   order by rank desc, command`;
