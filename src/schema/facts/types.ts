/** Facts of schemas, extensions, types and collations. */
import { type FactQuery, noOwner, notMember, words } from './scope.ts';

export const schemas: FactQuery = () => `
  select 'schema', null, n.name::text, null, 'schema', n.owner, n.acl, 'n'
    from namespaces n where ${notMember('pg_namespace', 'n.oid')}`;

export const extensions: FactQuery = () => `
  select 'extension', null, e.extname, null, e.extversion || ' in ' || e.extnamespace::regnamespace, ${noOwner}
    from pg_extension e`;

const types = `namespaces n join pg_type t on t.typnamespace = n.oid and ${notMember('pg_type', 't.oid')}`;
const owned = "t.typowner, t.typacl, 'T'";

export const enums: FactQuery = () => `
  select 'enum', n.name, t.typname, null,
         (select '(' || coalesce(string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder), '') || ')'
            from pg_enum e where e.enumtypid = t.oid), ${owned}
    from ${types} where t.typtype = 'e'`;

export const domains: FactQuery = () => `
  select 'domain', n.name, t.typname, null,
         ${words(
           'format_type(t.typbasetype, t.typtypmod)',
           "case when t.typcollation <> b.typcollation then 'collate ' || t.typcollation::regcollation end",
           "case when t.typnotnull then 'not null' end",
           "'default ' || t.typdefault",
         )}, ${owned}
    from ${types} join pg_type b on b.oid = t.typbasetype where t.typtype = 'd'`;

/** The order of its attributes is part of what a composite type is. */
export const composites: FactQuery = () => `
  select 'type', n.name, t.typname, null,
         (select '(' || coalesce(string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                  || case when a.attcollation <> b.typcollation then ' collate ' || a.attcollation::regcollation else '' end,
                  ', ' order by a.attnum), '') || ')'
            from pg_attribute a join pg_type b on b.oid = a.atttypid
           where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), ${owned}
    from ${types} join pg_class c on c.oid = t.typrelid and c.relkind = 'c'`;

export const ranges: FactQuery = () => `
  select 'range', n.name, t.typname, null,
         ${words(
           'r.rngsubtype::regtype',
           "'class ' || r.rngsubopc",
           "'collate ' || nullif(r.rngcollation, 0)::regcollation",
           "'canonical ' || nullif(r.rngcanonical, 0)::regproc",
           "'difference ' || nullif(r.rngsubdiff, 0)::regproc",
           "'multirange ' || r.rngmultitypid::regtype",
         ).replace('r.rngsubopc', '(select o.opcname from pg_opclass o where o.oid = r.rngsubopc)')}, ${owned}
    from ${types} join pg_range r on r.rngtypid = t.oid`;

export const baseTypes: FactQuery = () => `
  select 'base type', n.name, t.typname, null,
         ${words('t.typisdefined', 't.typlen', 't.typbyval', 't.typcategory', 't.typalign', 't.typstorage', 't.typinput', 't.typoutput', 't.typreceive', 't.typsend')}, ${owned}
    from ${types} where t.typtype in ('b', 'p') and t.typcategory <> 'A' and t.typelem = 0`;

/** The names of the columns differ between majors. */
export const collations: FactQuery = () => `
  select 'collation', n.name, c.collname, null,
         (select string_agg(key || ' ' || value, ', ' order by key) from jsonb_each_text(to_jsonb(c))
           where key in ('collprovider', 'collisdeterministic', 'collcollate', 'collctype', 'colllocale', 'colliculocale', 'collicurules')),
         c.collowner, null, null
    from namespaces n join pg_collation c on c.collnamespace = n.oid
   where ${notMember('pg_collation', 'c.oid')}`;
