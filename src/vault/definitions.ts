import type { Session } from '../db/session.ts';

/** SQL that makes again what is taken off a table when it goes to the vault, by kind. */
export async function readDefinitions(
  session: Session,
  oid: number,
  serverVersion: number,
): Promise<Record<string, readonly string[]>> {
  const { rows } = await session.query<{ kind: string; sql: string }>(
    serverVersion >= 150_000
      ? `${commonSql} union all ${publicationsSql} order by 1, 2`
      : `${commonSql} order by 1, 2`,
    [oid],
  );
  const kinds: Record<string, string[]> = {};
  for (const { kind, sql } of rows) kinds[kind] = [...(kinds[kind] ?? []), sql];
  return kinds;
}

export async function serverVersionOf(session: Session): Promise<number> {
  const { rows } = await session.query<{ version: number }>(
    "select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version",
  );
  return rows[0]?.version ?? 0;
}

const commonSql = `
  with t as (select c.*, format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1)
  select case when k.contype = 'f' and k.conrelid <> t.oid then 'foreign keys to it' when k.contype = 'f' then 'foreign keys' else 'constraints' end as kind,
         format('alter table %s add constraint %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) as sql
    from t join pg_constraint k on (k.conrelid = t.oid or k.confrelid = t.oid) and k.conrelid <> 0 and k.conparentid = 0
  union all
  select 'indexes', pg_get_indexdef(i.indexrelid) from t join pg_index i on i.indrelid = t.oid
   where not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
  union all
  select 'triggers', pg_get_triggerdef(g.oid) || case g.tgenabled when 'O' then '' else format('; alter table %s %s trigger %I', t.name,
           case g.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, g.tgname) end
    from t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal
  union all
  select 'rules', pg_get_ruledef(r.oid) from t join pg_rewrite r on r.ev_class = t.oid
  union all
  select 'policies', format('create policy %I on %s as %s for %s to %s', p.policyname, t.name, p.permissive, p.cmd,
           (select string_agg(case r when 'public' then 'public' else quote_ident(r) end, ', ') from unnest(p.roles) r))
           || coalesce(' using (' || p.qual || ')', '') || coalesce(' with check (' || p.with_check || ')', '')
    from t join pg_namespace n on n.oid = t.relnamespace join pg_policies p on p.schemaname = n.nspname and p.tablename = t.relname
  union all
  select 'row security', format('alter table %s %s row level security', t.name, u.what)
    from t cross join lateral (values ('enable', t.relrowsecurity), ('force', t.relforcerowsecurity)) u(what, wanted) where u.wanted
  union all
  select 'statistics', pg_get_statisticsobjdef(s.oid) from t join pg_statistic_ext s on s.stxrelid = t.oid
  union all
  select 'defaults', format('alter table %s alter column %I set default %s', t.name, a.attname, pg_get_expr(d.adbin, d.adrelid))
    from t join pg_attrdef d on d.adrelid = t.oid join pg_attribute a on a.attrelid = t.oid and a.attnum = d.adnum where a.attgenerated = ''
  union all
  select 'generated columns', format('%I generated always as (%s)', a.attname, pg_get_expr(d.adbin, d.adrelid))
    from t join pg_attrdef d on d.adrelid = t.oid join pg_attribute a on a.attrelid = t.oid and a.attnum = d.adnum where a.attgenerated <> ''
  union all
  select 'identity columns', format('alter table %s alter column %I add generated %s as identity', t.name, a.attname,
           case a.attidentity when 'a' then 'always' else 'by default' end)
    from t join pg_attribute a on a.attrelid = t.oid and a.attidentity <> ''
  union all
  select 'parents', case when t.relispartition then format('alter table %s attach partition %s %s', h.inhparent::regclass, t.name, pg_get_expr(t.relpartbound, t.oid))
           else format('alter table %s inherit %s', t.name, h.inhparent::regclass) end
    from t join pg_inherits h on h.inhrelid = t.oid
  union all
  select 'owner', format('alter table %s owner to %I', t.name, pg_get_userbyid(t.relowner)) from t
  union all
  select 'grants', format('grant %s on %s to %s%s', g.privilege_type, t.name, case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
           case when g.is_grantable then ' with grant option' else '' end)
    from t cross join lateral aclexplode(t.relacl) g where g.grantee <> t.relowner
  union all
  select 'grants', format('grant %s (%I) on %s to %s%s', g.privilege_type, a.attname, t.name, case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
           case when g.is_grantable then ' with grant option' else '' end)
    from t join pg_attribute a on a.attrelid = t.oid and a.attacl is not null cross join lateral aclexplode(a.attacl) g`;

const publicationsSql = `
  select 'publications', format('alter publication %I add table %s%s%s', p.pubname, r.prrelid::regclass,
           (select ' (' || string_agg(quote_ident(a.attname), ', ' order by a.attnum) || ')' from pg_attribute a
             where a.attrelid = r.prrelid and a.attnum = any(r.prattrs::int2[])),
           ' where (' || pg_get_expr(r.prqual, r.prrelid) || ')')
    from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where r.prrelid = $1`;
