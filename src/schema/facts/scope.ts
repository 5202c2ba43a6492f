/**
 * What all queries of facts share. Each gives rows of the same columns: `kind`, `schema`, `object` and `sub` (identity),
 * `description`, and for objects that have them `owner`, `acl` and its type as `acldefault` knows it.
 */

export const columnsOf = 'kind, schema, object, sub, description, owner, acl, acl_type';

/** Schemas of users, and relations in them, as far as no extension owns them and neither Prisma nor we do. */
export const common = `
  members as materialized (
    select classid, objid from pg_depend where deptype = 'e'),
  namespaces as materialized (
    select oid, nspname as name, nspowner as owner, nspacl as acl
      from pg_namespace
     where nspname !~ '^pg_' and nspname !~ '^switchback_vault' and nspname not in ('information_schema', 'switchback')),
  relations as materialized (
    select c.*, n.name as schema
      from pg_class c join namespaces n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and c.relname <> '_prisma_migrations'
       and not exists (select from members own where own.classid = 'pg_class'::regclass and own.objid = c.oid))`;

export const notMember = (catalogue: string, oid: string): string =>
  `not exists (select from members own where own.classid = '${catalogue}'::regclass and own.objid = ${oid})`;

/** Not made by another object, as a range type makes its constructors and its cast. */
export const notInternal = (catalogue: string, oid: string): string =>
  `not exists (select from pg_depend whole where whole.classid = '${catalogue}'::regclass and whole.objid = ${oid} and whole.deptype = 'i')`;

/** Made after the server was: what initdb makes has lower numbers. */
export const made = (oid: string): string => `${oid} >= 16384`;

/** Parts that are there, with a space between them. */
export const words = (...parts: string[]): string => `concat_ws(' ', ${parts.join(', ')})`;

/** A list of `name=value` in order. */
export const sorted = (list: string): string =>
  `(select string_agg(o, ', ' order by o) from unnest(${list}) o)`;

export const noOwner = 'null::oid, null::aclitem[], null::text';

/** `major` is the server's. */
export type FactQuery = (major: number) => string;
