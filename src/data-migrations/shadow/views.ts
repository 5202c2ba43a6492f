/** Views that stand on a table, directly or on one another: made anew, they stand on the one that has its name by then. */
import type { Session } from '../../db/session.ts';

export interface View {
  readonly oid: number;
  /** For SQL. */
  readonly name: string;
  /** `create or replace view`: keeps all that hangs on it, where the columns have the types that they had. */
  readonly replace: string;
  /** Makes it from nothing, with all that hung on it. */
  readonly make: readonly string[];
}

/** Those that stand on others come later. In a transaction under our own search_path. */
export async function readViews(session: Session, oid: number): Promise<View[]> {
  const { rows } = await session.query<View>(viewsSql, [oid]);
  return rows;
}

/** By plain commands: what cannot be replaced is dropped and made again. */
export function remakeSql(views: readonly View[]): string[] {
  return [...views.toReversed().map(({ name }) => `drop view ${name}`), ...views.flatMap(({ make }) => make)];
}

const viewsSql = `
  with recursive up(oid, depth) as (
    select $1::oid, 0
    union
    select r.ev_class, up.depth + 1 from up join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = up.oid and d.classid = 'pg_rewrite'::regclass
      join pg_rewrite r on r.oid = d.objid and r.rulename = '_RETURN' and r.ev_class <> up.oid
      join pg_class c on c.oid = r.ev_class and c.relkind = 'v' where up.depth < 60),
  views as (
    select c.*, max(up.depth) as depth, format('%I.%I', n.nspname, c.relname) as name,
        case when c.reloptions is null then '' else format(' with (%s)', array_to_string(c.reloptions, ', ')) end as options,
        (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as columns
      from up join pg_class c on c.oid = up.oid join pg_namespace n on n.oid = c.relnamespace where up.depth > 0
     group by c.oid, n.nspname, c.relname, c.reloptions, c.relkind),
  parts(oid, n, what, sql) as (
    select oid, 1, '', format('create view %s (%s)%s as %s', name, columns, options, rtrim(pg_get_viewdef(oid), ';')) from views
    union all select oid, 2, '', format('alter view %s owner to %I', name, pg_get_userbyid(relowner)) from views where relowner <> current_user::regrole
    -- What default privileges grant on it anew.
    union all select v.oid, 3, g.grantee::text, format('revoke all on %s from %s', v.name, case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end)
      from views v cross join lateral (select distinct x.grantee from pg_default_acl d cross join lateral aclexplode(d.defaclacl) x where d.defaclobjtype = 'r') g where g.grantee <> v.relowner
    union all select v.oid, 3, a.attname, format('alter view %s alter column %I set default %s', v.name, a.attname, pg_get_expr(d.adbin, d.adrelid))
      from views v join pg_attrdef d on d.adrelid = v.oid join pg_attribute a on a.attrelid = v.oid and a.attnum = d.adnum
    union all select v.oid, 4, g.tgname, pg_get_triggerdef(g.oid) from views v join pg_trigger g on g.tgrelid = v.oid and not g.tgisinternal
    union all select v.oid, 5, g.tgname, format('alter table %s %s trigger %I', v.name, case g.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, g.tgname)
      from views v join pg_trigger g on g.tgrelid = v.oid and not g.tgisinternal and g.tgenabled <> 'O'
    union all select v.oid, 5, r.rulename, pg_get_ruledef(r.oid) from views v join pg_rewrite r on r.ev_class = v.oid and r.rulename <> '_RETURN'
    union all select v.oid, 6, g.privilege_type || g.grantee, format('grant %s on %s to %s%s', g.privilege_type, v.name, case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
        case when g.is_grantable then ' with grant option' else '' end) from views v cross join lateral aclexplode(v.relacl) g where g.grantee <> v.relowner
    union all select v.oid, 6, a.attname || g.privilege_type || g.grantee, format('grant %s (%I) on %s to %s%s', g.privilege_type, a.attname, v.name, case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
        case when g.is_grantable then ' with grant option' else '' end)
      from views v join pg_attribute a on a.attrelid = v.oid and a.attacl is not null cross join lateral aclexplode(a.attacl) g
    union all select v.oid, 7, '', format('comment on view %s is %L', v.name, d.description) from views v join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = v.oid and d.objsubid = 0
    union all select v.oid, 7, a.attname, format('comment on column %s.%I is %L', v.name, a.attname, d.description)
      from views v join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = v.oid join pg_attribute a on a.attrelid = v.oid and a.attnum = d.objsubid and d.objsubid > 0)
  select v.oid::int8::float8 as oid, v.name, format('create or replace view %s (%s)%s as %s', v.name, v.columns, v.options, rtrim(pg_get_viewdef(v.oid), ';')) as replace,
    (select json_agg(p.sql order by p.n, p.what) from parts p where p.oid = v.oid) as make
   from views v order by v.depth, v.oid`;
