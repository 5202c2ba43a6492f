/** Facts of tables, views, sequences and indexes. */
import { type FactQuery, noOwner, sorted, words } from './scope.ts';

const storageOptions = `'with (' || ${sorted('c.reloptions')} || ')'`;

export const tables: FactQuery = () => `
  select case c.relkind when 'f' then 'foreign table' else 'table' end, c.schema, c.relname::text, null::text,
         ${words(
           "case c.relpersistence when 'u' then 'unlogged' end",
           "case c.relkind when 'p' then 'partitioned by ' || pg_get_partkeydef(c.oid) end",
           "case when c.reloftype <> 0 then 'of ' || c.reloftype::regtype end",
           "case c.relkind when 'f' then (select 'on ' || s.srvname || ' ' || md5(f.ftoptions::text) from pg_foreign_table f join pg_foreign_server s on s.oid = f.ftserver where f.ftrelid = c.oid) end",
           "case when am.amname <> 'heap' then 'using ' || am.amname end",
           storageOptions,
         )}, c.relowner, c.relacl, 'r'
    from relations c left join pg_am am on am.oid = c.relam
   where c.relkind in ('r', 'p', 'f')`;

export const toastOptions: FactQuery = () => `
  select 'toast options', c.schema, c.relname, null, ${sorted('t.reloptions')}, ${noOwner}
    from relations c join pg_class t on t.oid = c.reltoastrelid where t.reloptions is not null`;

/** Where it stands among partitions and parents. */
export const ancestry: FactQuery = () => `
  select case when c.relispartition then 'partition' else 'inheritance' end, c.schema, c.relname, null,
         string_agg(i.inhparent::regclass::text || case when i.inhdetachpending then ' (detaching)' else '' end, ', ' order by i.inhseqno)
           || case when c.relispartition then ' ' || pg_get_expr(c.relpartbound, c.oid) else '' end,
         ${noOwner}
    from relations c join pg_inherits i on i.inhrelid = c.oid
   where c.relkind in ('r', 'p', 'f')
   group by c.schema, c.relname, c.relispartition, c.relpartbound, c.oid`;

export const rowSecurity: FactQuery = () => `
  select 'row security', c.schema, c.relname, null,
         ${words("case when c.relrowsecurity then 'enabled' else 'disabled' end", "case when c.relforcerowsecurity then 'forced' end")},
         ${noOwner}
    from relations c where c.relrowsecurity or c.relforcerowsecurity`;

/** By an index: the index says so as well, but stands for nothing while this says something else. */
export const replicaIdentity: FactQuery = () => `
  select 'replica identity', c.schema, c.relname, null,
         case c.relreplident when 'n' then 'nothing' when 'f' then 'full' else 'index' end
           || coalesce((select ' ' || x.indexrelid::regclass from pg_index x where x.indrelid = c.oid and x.indisreplident), ''),
         ${noOwner}
    from relations c where c.relkind in ('r', 'p') and c.relreplident <> 'd'`;

export const clustering: FactQuery = () => `
  select 'clustering', c.schema, c.relname, null, x.indexrelid::regclass::text, ${noOwner}
    from relations c join pg_index x on x.indrelid = c.oid and x.indisclustered`;

export const views: FactQuery = () => `
  select case c.relkind when 'v' then 'view' else 'materialized view' end, c.schema, c.relname, null,
         ${words('pg_get_viewdef(c.oid)', storageOptions)}, c.relowner, c.relacl, 'r'
    from relations c where c.relkind in ('v', 'm')`;

export const sequences: FactQuery = () => `
  select 'sequence', c.schema, c.relname, null,
         ${words(
           "case c.relpersistence when 'u' then 'unlogged' end",
           's.seqtypid::regtype',
           "'start ' || s.seqstart",
           "'by ' || s.seqincrement",
           "'from ' || s.seqmin",
           "'to ' || s.seqmax",
           "'cache ' || s.seqcache",
           "case when s.seqcycle then 'cycle' end",
           "case d.deptype when 'a' then 'owned by ' when 'i' then 'identity of ' end || d.refobjid::regclass || '.' || quote_ident(a.attname)",
         )}, c.relowner, c.relacl, 's'
    from relations c
    join pg_sequence s on s.seqrelid = c.oid
    left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0
         and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
    left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
   where c.relkind = 'S'`;

export const indexes: FactQuery = () => `
  select 'index', c.schema, c.relname, i.relname,
         ${words(
           'pg_get_indexdef(x.indexrelid)',
           "case when not x.indisvalid then '(invalid)' end",
           "case when not x.indisready then '(not ready)' end",
           "'partition of ' || (select h.inhparent::regclass from pg_inherits h where h.inhrelid = x.indexrelid)",
         )}, ${noOwner}
    from relations c
    join pg_index x on x.indrelid = c.oid
    join pg_class i on i.oid = x.indexrelid`;

/** Of the columns of an index that are expressions. */
export const indexStatistics: FactQuery = (major) => `
  select 'index statistics', c.schema, c.relname, i.relname,
         string_agg(a.attname || ' ' || a.attstattarget, ', ' order by a.attnum), ${noOwner}
    from relations c
    join pg_index x on x.indrelid = c.oid
    join pg_class i on i.oid = x.indexrelid
    join pg_attribute a on a.attrelid = i.oid and ${major < 17 ? 'a.attstattarget >= 0' : 'a.attstattarget is not null'}
   group by c.schema, c.relname, i.relname`;
