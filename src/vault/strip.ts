import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { exists, readDependents } from './dependents.ts';
import type { Table } from './table.ts';

async function runAll(session: Session, sql: string, oids: readonly number[]): Promise<void> {
  const { rows } = await session.query<{ command: string }>(sql, [oids]);
  if (rows.length > 0) await session.query(rows.map(({ command }) => command).join(';\n'));
}

/** Foreign keys of the tables and to them; what ties them to parents and partitions. */
export async function untie(session: Session, gone: readonly number[]): Promise<void> {
  await runAll(session, foreignKeysSql, gone);
  await runAll(session, parentsSql, gone);
}

const foreignKeysSql = `
  with recursive up(oid, parent) as (
    select oid, conparentid from pg_constraint where contype = 'f' and confrelid = any($1::oid[])
    union select k.oid, k.conparentid from up join pg_constraint k on k.oid = up.parent)
  select format('alter table %s drop constraint %I', k.conrelid::regclass, k.conname) as command from pg_constraint k
   where k.contype = 'f' and k.conparentid = 0 and (k.conrelid = any($1::oid[]) or k.oid in (select oid from up))
   order by k.oid`;

const parentsSql = `
  select case when c.relispartition then format('alter table %s detach partition %s', h.inhparent::regclass, h.inhrelid::regclass)
              else format('alter table %s no inherit %s', h.inhrelid::regclass, h.inhparent::regclass) end as command
    from pg_inherits h join pg_class c on c.oid = h.inhrelid
   where h.inhrelid = any($1::oid[]) and c.relkind in ('r', 'p') order by h.inhrelid desc, h.inhseqno`;

/**
 * Takes everything off tables that could block the application's or a later migration's own work, or that would go on
 * acting: triggers, rules, policies, publications, constraints, indexes, defaults, sequences, grants.
 */
export async function strip(session: Session, tables: readonly Table[]): Promise<void> {
  const oids = tables.map(({ oid }) => oid);
  await runAll(session, actorsSql, oids);
  await runAll(session, columnsSql, oids);
  await runAll(session, constraintsSql, oids);
  await runAll(session, restSql, oids);
}

const actorsSql = `
  select format('drop rule %I on %s cascade', rulename, ev_class::regclass) as command from pg_rewrite where ev_class = any($1::oid[])
  union all select format('drop policy %I on %s', polname, polrelid::regclass) from pg_policy where polrelid = any($1::oid[])
  union all select format('drop trigger %I on %s cascade', tgname, tgrelid::regclass) from pg_trigger where tgrelid = any($1::oid[]) and not tgisinternal
  union all select format('drop statistics %I.%I', n.nspname, s.stxname) from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where s.stxrelid = any($1::oid[])
  union all select format('alter publication %I drop table %s', p.pubname, r.prrelid::regclass) from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where r.prrelid = any($1::oid[])
  union all select format('alter table %s disable row level security, no force row level security', oid::regclass) from pg_class where oid = any($1::oid[]) and (relrowsecurity or relforcerowsecurity)
  union all select format('alter table %s not of', oid::regclass) from pg_class where oid = any($1::oid[]) and reloftype <> 0`;

const columnsSql = `
  select format('alter table %s alter column %I %s', a.attrelid::regclass, a.attname,
      case when a.attidentity <> '' then 'drop identity' when a.attgenerated = 's' then 'drop expression' else 'drop default' end) as command
    from pg_attribute a where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped and (a.atthasdef or a.attidentity <> '') and a.attgenerated <> 'v'`;

const constraintsSql = `
  select format('alter table %s drop constraint %I cascade', conrelid::regclass, conname) as command
    from pg_constraint where conrelid = any($1::oid[]) and contype in ('f', 'c', 'x', 'u', 'p')
   order by array_position(array['f', 'c', 'x', 'u', 'p'], contype::text)`;

const restSql = `
  select format('drop index %s cascade', indexrelid::regclass) as command from pg_index where indrelid = any($1::oid[])
  union all select format('alter table %s drop column %I cascade', attrelid::regclass, attname) from pg_attribute
     where attrelid = any($1::oid[]) and attnum > 0 and not attisdropped and attgenerated = 'v'
  union all select format('drop sequence %s cascade', d.objid::regclass) from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
     where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = any($1::oid[]) and d.refobjsubid > 0 and d.deptype = 'a'
  union all select format('revoke all on %s from %s cascade', c.oid::regclass, case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end)
     from pg_class c cross join lateral (
       select x.grantee from aclexplode(c.relacl) x union
       select x.grantee from pg_attribute a cross join lateral aclexplode(a.attacl) x where a.attrelid = c.oid and a.attacl is not null) g
    where c.oid = any($1::oid[]) and g.grantee <> c.relowner`;

/**
 * Drops what PostgreSQL's CASCADE drops beside the tables. Types come last, when no column has them any more: dropping
 * one would take the column along. Columns of other tables go, too: they are saved.
 */
export async function dropDependents(
  session: Session,
  tables: readonly number[],
  which: 'but types' | 'types',
): Promise<void> {
  for (const dependent of await readDependents(session, tables)) {
    if (dependent.isType !== (which === 'types')) continue;
    if (await exists(session, dependent)) await session.query(dependent.drop);
  }
}

/** Columns keep no type and no collation that somebody may drop later. Built-in types are not written anew. Row types come first. */
export async function freeColumns(session: Session, table: Table, composite: boolean): Promise<void> {
  const commands = table.columns
    .filter((column) => column.generated !== 'v' && (!column.builtIn || column.ownCollation))
    .filter((column) => column.composite === composite)
    .map((column) => {
      const name = quoteIdentifier(column.name);
      if (column.builtIn) return `alter column ${name} type ${column.type} collate "default"`;
      const collate = column.ownCollation && column.base !== null ? ' collate "default"' : '';
      return column.base === null
        ? `alter column ${name} type text using ${name}::text`
        : `alter column ${name} type ${column.base}${collate}`;
    });
  if (commands.length > 0) await session.query(`alter table ${table.sql} ${commands.join()}`);
}
