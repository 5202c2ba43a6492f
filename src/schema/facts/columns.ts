/** Facts of columns and constraints. What is rarely set is a fact of its own. */
import { type FactQuery, noOwner, notMember, sorted, words } from './scope.ts';

const owned = 'null::oid, a.attacl, null::text';
const attributes = `relations c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum`;
/** The type's own collation is not said. */
const collation = `case when a.attcollation <> t.typcollation then 'collate ' || a.attcollation::regcollation end`;

export const columns: FactQuery = () => `
  select 'column', c.schema, c.relname::text, a.attname::text,
         ${words(
           'format_type(a.atttypid, a.atttypmod)',
           collation,
           "case when a.attnotnull then 'not null' end",
           "case when c.relkind in ('v', 'm') then null else case a.attgenerated when '' then 'default ' || pg_get_expr(d.adbin, d.adrelid) when 's' then 'stored as ' || pg_get_expr(d.adbin, d.adrelid) else 'virtual as ' || pg_get_expr(d.adbin, d.adrelid) end end",
           "case a.attidentity when 'a' then 'identity always' when 'd' then 'identity by default' end",
           "case when a.attinhcount > 0 then 'inherited' || case when a.attislocal and not c.relispartition then ' and its own' else '' end end",
         )}, ${owned}
    from ${attributes}
   where c.relkind in ('r', 'p', 'f') or (c.relkind in ('v', 'm') and a.attacl is not null)`;

export const viewDefaults: FactQuery = () => `
  select 'default of view', c.schema, c.relname, a.attname, pg_get_expr(d.adbin, d.adrelid), ${noOwner}
    from ${attributes} where c.relkind = 'v' and d.oid is not null`;

export const columnStorage: FactQuery = () => `
  select 'column storage', c.schema, c.relname, a.attname,
         ${words(
           "case when a.attstorage <> t.typstorage then case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end end",
           "case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end",
         )}, ${noOwner}
    from ${attributes}
   where c.relkind in ('r', 'p', 'm') and (a.attstorage <> t.typstorage or a.attcompression <> '')`;

export const columnStatistics: FactQuery = (major) => `
  select 'column statistics', c.schema, c.relname, a.attname,
         ${words(`'target ' || ${major < 17 ? 'nullif(a.attstattarget, -1)' : 'a.attstattarget'}`, sorted('a.attoptions'))}, ${noOwner}
    from ${attributes}
   where c.relkind in ('r', 'p', 'm', 'f')
     and (${major < 17 ? 'a.attstattarget >= 0' : 'a.attstattarget is not null'} or a.attoptions is not null)`;

export const columnOptions: FactQuery = () => `
  select 'column options', c.schema, c.relname, a.attname, ${sorted('a.attfdwoptions')}, ${noOwner}
    from ${attributes} where c.relkind = 'f' and a.attfdwoptions is not null`;

/**
 * Those of a partition's foreign keys that follow from its parent's, and those to the partitions of a referenced table,
 * get their names from PostgreSQL, by what is there at that time: no two ways to build a schema agree in them.
 */
export const constraints: FactQuery = () => `
  select 'constraint', c.schema, c.relname, k.conname,
         ${words(
           'pg_get_constraintdef(k.oid)',
           "case when k.coninhcount > 0 then 'inherited' || case when k.conislocal and not c.relispartition then ' and its own' else '' end end",
         )}, ${noOwner}
    from relations c join pg_constraint k on k.conrelid = c.oid
   where k.contype in ('c', 'f', 'p', 'u', 'x', 'n') and (k.contype <> 'f' or k.conparentid = 0)`;

export const domainConstraints: FactQuery = () => `
  select 'domain constraint', n.name, t.typname, k.conname, pg_get_constraintdef(k.oid), ${noOwner}
    from namespaces n
    join pg_type t on t.typnamespace = n.oid
    join pg_constraint k on k.contypid = t.oid
   where ${notMember('pg_type', 't.oid')}`;
