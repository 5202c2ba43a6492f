/** Who is who in a database: what keeps its identity (oid) while its name changes. */
import type { Session } from '../db/session.ts';

export type IdentityKind =
  | 'schema'
  | 'table'
  | 'view'
  | 'materialized view'
  | 'foreign table'
  | 'sequence'
  | 'index'
  | 'column'
  | 'constraint'
  | 'domain constraint'
  | 'type'
  | 'domain'
  | 'label'
  | 'attribute'
  | 'function'
  | 'trigger'
  | 'policy';

export interface Identity {
  /** The same as long as it is the same object. */
  readonly key: string;
  readonly kind: IdentityKind;
  /** Of the schema it is in; of a schema empty. */
  readonly schema: string;
  readonly name: string;
  /** The key of the table or type that it belongs to; null where it stands for itself. */
  readonly parent: string | null;
  /** The key of the table that takes it along into another schema: that of a sequence's column, or of an index. */
  readonly follows: string | null;
  /** Of a function: the types of its arguments. */
  readonly argumentTypes: string;
}

/** Everything that can be renamed, but for what belongs to PostgreSQL, to an extension or to ourselves. */
export async function readIdentities(session: Session): Promise<Map<string, Identity>> {
  const { rows } = await session.query<Identity>(identitiesSql);
  return new Map(rows.map((row) => [row.key, row]));
}

const ownSchemas = `
  select oid, nspname from pg_catalog.pg_namespace
   where nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'switchback', 'switchback_vault')
     and nspname !~ '^pg_(temp|toast_temp)_'`;

/** What a column inherits, its name too, follows its parent's. An index of a constraint, the row type of a table and the sequence of an identity column go with their owners. */
const identitiesSql = `
with own as (${ownSchemas}),
 extension as (select classid, objid from pg_catalog.pg_depend where deptype = 'e'),
 relation as (
  select c.oid, c.relkind, n.nspname, c.relname from pg_catalog.pg_class c join own n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
     and not exists (select from extension e where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid)
     and not exists (select from pg_catalog.pg_constraint k where k.conindid = c.oid and k.contype in ('p', 'u', 'x'))),
 type as (
  select t.oid, t.typtype, n.nspname, t.typname from pg_catalog.pg_type t join own n on n.oid = t.typnamespace
   where (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and exists (
          select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c')))
     and not exists (select from extension e where e.classid = 'pg_catalog.pg_type'::regclass and e.objid = t.oid))
select 'n' || oid as key, 'schema' as kind, '' as schema, nspname as name, null as parent, null as follows, '' as "argumentTypes" from own
union all
select 'c' || oid, case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
       when 'S' then 'sequence' when 'i' then 'index' when 'I' then 'index' else 'table' end, nspname, relname, null,
       'c' || case when relkind in ('i', 'I') then (select i.indrelid from pg_catalog.pg_index i where i.indexrelid = relation.oid)
         when relkind = 'S' then (select d.refobjid from pg_catalog.pg_depend d
           where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = relation.oid and d.refclassid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i')) end, ''
  from relation
union all
select 'a' || a.attrelid || '.' || a.attnum, 'column', r.nspname, a.attname, 'c' || r.oid, null, ''
  from pg_catalog.pg_attribute a join relation r on r.oid = a.attrelid
 where a.attnum > 0 and not a.attisdropped and a.attinhcount = 0 and r.relkind in ('r', 'p', 'v', 'm', 'f')
union all
select 'k' || k.oid, case when k.conrelid = 0 then 'domain constraint' else 'constraint' end, n.nspname, k.conname,
       case when k.conrelid = 0 then 't' || k.contypid else 'c' || k.conrelid end, null, ''
  from pg_catalog.pg_constraint k join own n on n.oid = k.connamespace where k.contype <> 't'
union all
select 't' || oid, case typtype when 'd' then 'domain' else 'type' end, nspname, typname, null, null, '' from type
union all
select 'a' || a.attrelid || '.' || a.attnum, 'attribute', t.nspname, a.attname, 't' || t.oid, null, ''
  from type t join pg_catalog.pg_type y on y.oid = t.oid join pg_catalog.pg_attribute a on a.attrelid = y.typrelid
 where t.typtype = 'c' and a.attnum > 0 and not a.attisdropped
union all
select 'e' || e.oid, 'label', t.nspname, e.enumlabel, 't' || t.oid, null, ''
  from pg_catalog.pg_enum e join type t on t.oid = e.enumtypid
union all
select 'p' || p.oid, 'function', n.nspname, p.proname, null, null, pg_catalog.pg_get_function_identity_arguments(p.oid)
  from pg_catalog.pg_proc p join own n on n.oid = p.pronamespace
 where not exists (select from extension e where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid)
union all
select 'g' || g.oid, 'trigger', r.nspname, g.tgname, 'c' || r.oid, null, ''
  from pg_catalog.pg_trigger g join relation r on r.oid = g.tgrelid where not g.tgisinternal and g.tgparentid = 0
union all
select 'l' || l.oid, 'policy', r.nspname, l.polname, 'c' || r.oid, null, ''
  from pg_catalog.pg_policy l join relation r on r.oid = l.polrelid`;
