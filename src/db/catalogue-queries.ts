/**
 * The queries with which a catalogue is read. They read catalogues only, each whole and once: nothing here opens a
 * user's table, whose lock might have to be waited for, but for the expressions of checks (see there).
 */

const userSchema = (alias: string): string =>
  `${alias}.nspname !~ '^pg_' and ${alias}.nspname not in ('information_schema', 'switchback')`;
const userTables = `pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    and ${userSchema('n')} and c.relkind in ('r', 'p', 'm', 'f', 'v')`;

/** A type's own name and schema; an array's are its elements'. Modifiers of extensions' types are in its text. */
const typeJoins = (oid: string): string => `join pg_catalog.pg_type t on t.oid = ${oid}
   left join pg_catalog.pg_type element on element.oid = t.typelem and element.typarray = t.oid
   join pg_catalog.pg_namespace type_schema on type_schema.oid = t.typnamespace`;
const typeColumns = (oid: string, modifier: string): string => `coalesce(element.typname, t.typname) as type,
   type_schema.nspname as "typeSchema", element.oid is not null as array, ${modifier} as modifier,
   case when ${modifier} >= 0 and type_schema.nspname <> 'pg_catalog'
        then pg_catalog.format_type(${oid}, ${modifier}) end as "typeText"`;

export interface ServerRow {
  readonly version: number;
  readonly timeZone: string;
  readonly blockSize: number;
}
export const server = `select pg_catalog.current_setting('server_version_num')::int as version,
  pg_catalog.current_setting('TimeZone') as "timeZone", pg_catalog.current_setting('block_size')::int as "blockSize"`;

export interface NameRow {
  readonly name: string;
}
export const schemas = `select n.nspname as name from pg_catalog.pg_namespace n where ${userSchema('n')} order by 1`;
export const extensions = 'select extname as name from pg_catalog.pg_extension order by 1';

export interface TableRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly isDefault: boolean;
  readonly partitionColumns: readonly string[];
  readonly rows: number;
  readonly pages: number;
  readonly scans: number;
  readonly writes: number;
}
export const tables = `select c.oid, n.nspname as schema, c.relname as name, c.relkind as kind,
   exists (select from pg_catalog.pg_partitioned_table p where p.partdefid = c.oid) as "isDefault",
   array(select a.attname::text
      from pg_catalog.pg_partitioned_table p
      cross join lateral unnest(p.partattrs::int2[]) as k (attnum)
      join pg_catalog.pg_attribute a on a.attrelid = p.partrelid and a.attnum = k.attnum
     where p.partrelid = c.oid) as "partitionColumns",
   c.reltuples::float8 as rows, c.relpages as pages,
   coalesce(pg_catalog.pg_stat_get_numscans(c.oid), 0)::float8 as scans,
   coalesce(pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
            + pg_catalog.pg_stat_get_tuples_deleted(c.oid), 0)::float8 as writes
  from ${userTables} order by c.oid`;

export interface ParentRow {
  readonly table: number;
  readonly parent: number;
}
export const parents = `select i.inhrelid as "table", i.inhparent as parent
  from pg_catalog.pg_inherits i order by i.inhrelid, i.inhseqno`;

export interface TypeColumns {
  readonly type: string;
  readonly typeSchema: string;
  readonly array: boolean;
  readonly modifier: number;
  readonly typeText: string | null;
}
export interface ColumnRow extends TypeColumns {
  readonly table: number;
  readonly number: number;
  readonly name: string;
  readonly notNull: boolean;
  readonly defaultValue: string | true | null;
  readonly generated: string;
  readonly identity: boolean;
  readonly collation: string | null;
}
/** A default names no column, so that its text is made without its table: pg_get_expr would open and lock that. */
export const columns = (texts: boolean): string => `select a.attrelid as "table", a.attnum as number,
   a.attname as name, a.attnotnull as "notNull", a.attgenerated as generated, a.attidentity <> '' as identity,
   ${texts ? 'pg_catalog.pg_get_expr(d.adbin, 0::pg_catalog.oid)' : 'nullif(d.oid is not null, false)'} as "defaultValue",
   case when a.attcollation <> t.typcollation then l.collname end as collation,
   ${typeColumns('a.atttypid', 'a.atttypmod')}
  from ${userTables}
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ${typeJoins('a.atttypid')}
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated = ''
  left join pg_catalog.pg_collation l on l.oid = a.attcollation
  order by a.attrelid, a.attnum`;

export interface ConstraintRow {
  readonly table: number;
  readonly name: string;
  readonly kind: string;
  readonly columns: readonly number[] | null;
  readonly valid: boolean;
  readonly references: number;
  readonly referencedColumns: readonly number[] | null;
  readonly expression: string | null;
}
/**
 * A check's text cannot be made without opening its table for a moment, with an ACCESS SHARE lock. Where somebody has
 * or awaits a lock that excludes it the text is left out. Beside foreign keys to partitioned tables there are others
 * of the same table, one for each partition; they are left out as well.
 */
export const constraints = (texts: boolean): string => `select k.conrelid as "table", k.conname as name,
   k.contype as kind, k.conkey as columns, k.convalidated as valid, k.confrelid as references,
   k.confkey as "referencedColumns",
   ${texts ? "case when k.contype = 'c' and excluded.relation is null then pg_catalog.pg_get_expr(k.conbin, k.conrelid) end" : 'null'} as expression
  from ${userTables}
  join pg_catalog.pg_constraint k on k.conrelid = c.oid and k.contype in ('p', 'u', 'f', 'c', 'x', 'n')
  left join pg_catalog.pg_constraint above on above.oid = k.conparentid
  left join (select distinct relation from pg_catalog.pg_locks
              where locktype = 'relation' and mode = 'AccessExclusiveLock'
                and database = (select oid from pg_catalog.pg_database
                                 where datname = pg_catalog.current_database())) excluded
    on excluded.relation = k.conrelid
 where above.conrelid is distinct from k.conrelid
 order by k.conrelid, k.conname, k.oid`;

export interface IndexRow {
  readonly table: number;
  readonly name: string;
  /** Numbers of the columns of the key; 0 for an expression. */
  readonly columns: string;
  readonly keyColumns: number;
  readonly expressionColumns: readonly number[] | null;
  readonly unique: boolean;
  readonly partial: boolean;
  readonly valid: boolean;
  readonly pages: number;
  readonly scans: number;
}
/**
 * On a column that stands plainly in it an index depends once (as a constraint's own it does not), and once more for
 * its expressions and for its WHERE.
 */
export const indexes = `select i.indrelid as "table", x.relname as name, i.indkey::text as columns,
   i.indnkeyatts as "keyColumns",
   case when i.indpred is not null or i.indexprs is not null then array(
     select d.refobjsubid from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = i.indexrelid and d.objsubid = 0
        and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid > 0
      group by d.refobjsubid
     having count(*) > case when d.refobjsubid = any (i.indkey)
                             and not exists (select from pg_catalog.pg_constraint k
                                              where k.conindid = i.indexrelid and k.conrelid = i.indrelid)
                            then 1 else 0 end
      order by d.refobjsubid) end as "expressionColumns",
   i.indisunique as unique, i.indpred is not null as partial, i.indisvalid as valid,
   x.relpages as pages, coalesce(pg_catalog.pg_stat_get_numscans(x.oid), 0)::float8 as scans
  from ${userTables}
  join pg_catalog.pg_index i on i.indrelid = c.oid
  join pg_catalog.pg_class x on x.oid = i.indexrelid
  order by i.indrelid, x.relname`;

export interface UserTypeRow extends TypeColumns {
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly labels: readonly string[];
  readonly constrained: boolean;
}
/** Beside each table stands a composite type of its rows, beside each range one of several ranges; not these. */
export const types = `select n.nspname as schema, u.typname as name, u.typtype as kind,
   array(select e.enumlabel::text from pg_catalog.pg_enum e where e.enumtypid = u.oid order by e.enumsortorder) as labels,
   u.typnotnull or exists (select from pg_catalog.pg_constraint k
                            where k.contypid = u.oid and k.contype = 'c') as constrained,
   ${typeColumns('t.oid', 'u.typtypmod')}
  from pg_catalog.pg_type u
  join pg_catalog.pg_namespace n on n.oid = u.typnamespace and ${userSchema('n')}
  left join pg_catalog.pg_class c on c.oid = u.typrelid
  ${typeJoins("case u.typtype when 'd' then u.typbasetype else u.oid end")}
 where u.typtype in ('e', 'd', 'r') or (u.typtype = 'c' and c.relkind = 'c')
 order by u.oid`;

export interface FunctionRow {
  readonly schema: string;
  readonly name: string;
  readonly volatility: string;
  readonly language: string;
  readonly body: string;
  readonly definition: string;
}
/** Not the constructors of ranges, which are part of their types. */
export const functions = `select n.nspname as schema, p.proname as name, p.provolatile as volatility,
   l.lanname as language, case when l.lanname in ('plpgsql', 'sql') then p.prosrc else '' end as body,
   coalesce(case when l.lanname = 'plpgsql' then pg_catalog.pg_get_functiondef(p.oid) end, '') as definition
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace and ${userSchema('n')}
  join pg_catalog.pg_language l on l.oid = p.prolang
 where p.prokind in ('f', 'p')
   and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'i')
 order by p.oid`;
