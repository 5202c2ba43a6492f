/**
 * What hangs on a table and is no part of what it is made of: foreign keys of it and to it, triggers, policies, grants,
 * publications, statistics objects, comments, the sequences that it owns. Read as SQL by which it is taken off, and by which it is
 * put on whatever table has the name by then.
 */
import type { Session } from '../../db/session.ts';
import { serverVersionOf } from '../../vault/definitions.ts';
import type { Unvalidated } from './state.ts';

export interface Attachments {
  readonly off: readonly string[];
  readonly on: readonly string[];
  /** Foreign keys that were valid, and are made NOT VALID by `on`. */
  readonly unvalidated: readonly Unvalidated[];
  /** For SQL: other tables that are locked by it. */
  readonly others: readonly string[];
}

interface Part {
  readonly off: string | null;
  readonly on: string | null;
  readonly validate: Unvalidated | null;
  readonly other: string | null;
}

/**
 * In a transaction under our own search_path.
 * @param columns of the table that they will hang on: what is for another column falls away
 */
export async function readAttachments(
  session: Session,
  oid: number,
  columns: readonly string[],
): Promise<Attachments> {
  const { rows } = await session.query<Part>(partsSql(await serverVersionOf(session)), [oid, columns]);
  const given = <T>(values: readonly (T | null)[]): T[] => values.filter((value) => value !== null);
  return {
    off: given(rows.map(({ off }) => off)),
    on: given(rows.map(({ on }) => on)),
    unvalidated: given(rows.map(({ validate }) => validate)),
    others: [...new Set(given(rows.map(({ other }) => other)))],
  };
}

const grantee = `case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end`;
const option = `case when g.is_grantable then ' with grant option' else '' end`;

/** Columns and rows that are published, since PostgreSQL 15. */
const filterSql = (version: number): string =>
  version < 150_000
    ? `'', ''`
    : `(select ' (' || string_agg(quote_ident(a.attname), ', ' order by a.attnum) || ')' from pg_attribute a
          where a.attrelid = t.oid and a.attnum = any (r.prattrs::int2[])), ' where (' || pg_get_expr(r.prqual, r.prrelid) || ')'`;

/** `n` is the order in which they are put on. Triggers of ours have their functions in the schema `switchback`. */
const partsSql = (version: number): string => `
  with t as (select c.*, n.nspname, format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1),
  sequences as (
    select s.oid, format('%I.%I', n.nspname, s.relname) as name, s.relacl, s.relowner, d.deptype, a.attname, a.attnum
      from t join pg_depend d on d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid and d.refobjsubid > 0 and d.deptype in ('a', 'i')
      join pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_namespace n on n.oid = s.relnamespace
      join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid),
  parts(n, what, "off", "on", validate, other) as (
    select 1, s.attname, format('alter sequence %s owned by none', s.name),
        case when s.attname = any ($2::text[]) then format('alter sequence %s owned by %s.%I', s.name, t.name, s.attname) end, null::json, null
      from t, sequences s where s.deptype = 'a'
    union all
    select 2, g.tgname, format('drop trigger %I on %s', g.tgname, t.name), pg_get_triggerdef(g.oid), null, null
      from t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal
      join pg_proc p on p.oid = g.tgfoid where p.pronamespace <> 'switchback'::regnamespace
    union all
    select 3, g.tgname, null, format('alter table %s %s trigger %I', t.name, case g.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, g.tgname), null, null
      from t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal and g.tgenabled <> 'O'
      join pg_proc p on p.oid = g.tgfoid where p.pronamespace <> 'switchback'::regnamespace
    union all
    select 2, p.polname, format('drop policy %I on %s', p.polname, t.name),
        format('create policy %I on %s as %s for %s to %s', p.polname, t.name, case when p.polpermissive then 'permissive' else 'restrictive' end,
          case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
          (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ') from unnest(p.polroles) r))
          || coalesce(' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', '') || coalesce(' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''), null, null
      from t join pg_policy p on p.polrelid = t.oid
    union all
    select 2, '', format('alter table %s disable row level security', t.name), format('alter table %s enable row level security', t.name), null, null from t where t.relrowsecurity
    union all
    select 2, '', format('alter table %s no force row level security', t.name), format('alter table %s force row level security', t.name), null, null from t where t.relforcerowsecurity
    union all
    select 4, k.conname, format('alter table %s drop constraint %I', k.conrelid::regclass, k.conname),
        format('alter table %s add constraint %I %s%s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), case when k.convalidated then ' not valid' else '' end),
        case when k.convalidated then json_build_object('table', k.conrelid::regclass::text, 'name', k.conname) end,
        nullif(case when k.conrelid = t.oid then k.confrelid else k.conrelid end, t.oid)::regclass::text
      from t join pg_constraint k on (k.conrelid = t.oid or k.confrelid = t.oid) and k.contype = 'f' and k.conparentid = 0
    union all
    select 5, s.stxname, format('drop statistics %I.%I', n.nspname, s.stxname), pg_get_statisticsobjdef(s.oid), null, null
      from t join pg_statistic_ext s on s.stxrelid = t.oid join pg_namespace n on n.oid = s.stxnamespace
    union all
    select 6, s.stxname, null, format('alter statistics %I.%I set statistics %s', n.nspname, s.stxname, to_jsonb(s) ->> 'stxstattarget'), null, null
      from t join pg_statistic_ext s on s.stxrelid = t.oid join pg_namespace n on n.oid = s.stxnamespace where (to_jsonb(s) ->> 'stxstattarget')::int >= 0
    union all
    select 6, s.stxname, null, format('alter statistics %I.%I owner to %I', n.nspname, s.stxname, pg_get_userbyid(s.stxowner)), null, null
      from t join pg_statistic_ext s on s.stxrelid = t.oid join pg_namespace n on n.oid = s.stxnamespace where s.stxowner <> current_user::regrole
    union all
    select 5, p.pubname, format('alter publication %I drop table %s', p.pubname, t.name), format('alter publication %I add table %s%s%s', p.pubname, t.name, ${filterSql(version)}), null, null
      from t join pg_publication_rel r on r.prrelid = t.oid join pg_publication p on p.oid = r.prpubid
    union all
    select 7, g.privilege_type || g.grantee, format('revoke %s on %s from %s cascade', g.privilege_type, t.name, ${grantee}),
        format('grant %s on %s to %s%s', g.privilege_type, t.name, ${grantee}, ${option}), null, null
      from t cross join lateral aclexplode(t.relacl) g where g.grantee <> t.relowner
    union all
    select 7, a.attname || g.privilege_type || g.grantee, format('revoke %s (%I) on %s from %s cascade', g.privilege_type, a.attname, t.name, ${grantee}),
        case when a.attname = any ($2::text[]) then format('grant %s (%I) on %s to %s%s', g.privilege_type, a.attname, t.name, ${grantee}, ${option}) end, null, null
      from t join pg_attribute a on a.attrelid = t.oid and a.attacl is not null and not a.attisdropped cross join lateral aclexplode(a.attacl) g
    union all
    -- What default privileges have granted on the sequence that comes.
    select 6, s.name || g.grantee, null, format('revoke all on sequence %s from %s', s.name, ${grantee}), null, null
      from sequences s cross join lateral (select distinct x.grantee from pg_default_acl d cross join lateral aclexplode(d.defaclacl) x where d.defaclobjtype = 'S') g
     where s.deptype = 'i' and s.attname = any ($2::text[]) and g.grantee <> s.relowner
    union all
    select 7, s.name || g.privilege_type || g.grantee, null, format('grant %s on sequence %s to %s%s', g.privilege_type, s.name, ${grantee}, ${option}), null, null
      from sequences s cross join lateral aclexplode(s.relacl) g where s.deptype = 'i' and s.attname = any ($2::text[]) and g.grantee <> s.relowner
    union all
    select 8, '', null, format('comment on table %s is %L', t.name, d.description), null, null
      from t join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = t.oid and d.objsubid = 0
    union all
    select 8, s.name, null, format('comment on sequence %s is %L', s.name, d.description), null, null
      from sequences s join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = s.oid where s.deptype = 'i' and s.attname = any ($2::text[])
    union all
    select 8, g.tgname, null, format('comment on trigger %I on %s is %L', g.tgname, t.name, d.description), null, null
      from t join pg_trigger g on g.tgrelid = t.oid join pg_description d on d.classoid = 'pg_trigger'::regclass and d.objoid = g.oid
    union all
    select 8, p.polname, null, format('comment on policy %I on %s is %L', p.polname, t.name, d.description), null, null
      from t join pg_policy p on p.polrelid = t.oid join pg_description d on d.classoid = 'pg_policy'::regclass and d.objoid = p.oid
    union all
    select 8, s.stxname, null, format('comment on statistics %I.%I is %L', n.nspname, s.stxname, d.description), null, null
      from t join pg_statistic_ext s on s.stxrelid = t.oid join pg_namespace n on n.oid = s.stxnamespace
      join pg_description d on d.classoid = 'pg_statistic_ext'::regclass and d.objoid = s.oid
    union all
    select 8, k.conname, null, format('comment on constraint %I on %s is %L', k.conname, k.conrelid::regclass, d.description), null, null
      from t join pg_constraint k on (k.conrelid = t.oid or k.confrelid = t.oid) and k.contype = 'f' and k.conparentid = 0
      join pg_description d on d.classoid = 'pg_constraint'::regclass and d.objoid = k.oid)
  select "off", "on", validate, other from parts order by n, what, "on"`;
