/** What the generator of rows has to know of tables and types, read in a few set-based queries. */
/** A session, or a client of the driver. */
export interface Connection {
  query<Row extends object>(sql: string, values?: unknown[]): Promise<{ readonly rows: Row[] }>;
}

export interface Column {
  readonly number: number;
  readonly name: string;
  readonly type: number;
  readonly modifier: number;
  /** As SQL, with its modifier. */
  readonly typeName: string;
  readonly notNull: boolean;
  readonly defaults: string | null;
  readonly identity: boolean;
  readonly generated: boolean;
}

export interface ForeignKey {
  readonly columns: readonly string[];
  readonly target: number;
  readonly targetColumns: readonly string[];
}

export interface Check {
  readonly name: string;
  readonly columns: readonly string[];
  readonly definition: string;
}

export interface Table {
  readonly oid: number;
  /** Quoted, with its schema. */
  readonly name: string;
  readonly columns: readonly Column[];
  readonly foreignKeys: readonly ForeignKey[];
  readonly checks: readonly Check[];
  /** Columns of unique indexes; those of expressions are not among them. */
  readonly unique: readonly string[];
  readonly hasTriggers: boolean;
  readonly partitionKey: readonly string[];
  /** Of its partitions, as SQL. */
  readonly bounds: readonly string[];
}

export interface Type {
  readonly oid: number;
  readonly name: string;
  /** As SQL, of any length: what PostgreSQL calls bit and character are bit(1) and character(1). */
  readonly sqlName: string;
  readonly kind: string;
  readonly category: string;
  readonly element: number;
  readonly base: number;
  readonly baseModifier: number;
  readonly labels: readonly string[];
  readonly attributes: readonly { readonly type: number; readonly modifier: number }[];
  readonly subtype: number;
  readonly range: number;
  readonly checks: readonly { readonly name: string; readonly definition: string }[];
}

export type Types = ReadonlyMap<number, Type>;

/** Tables of users, without partitions: these get their rows through their parents. */
export const userTables = `
  c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')`;

export interface TableState {
  readonly oid: number;
  readonly name: string;
  /** Number of the newest column. */
  readonly newest: number;
}

export async function listTables(client: Connection): Promise<TableState[]> {
  const { rows } = await client.query<TableState>(`
    select c.oid, format('%I.%I', n.nspname, c.relname) as name, c.relnatts as newest
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where ${userTables} and not c.relispartition order by c.oid`);
  return rows;
}

/** Those of the tables that have no row. */
export async function emptyOf(client: Connection, tables: readonly TableState[]): Promise<Set<number>> {
  if (tables.length === 0) return new Set();
  const queries = tables.map(
    ({ oid, name }) => `select ${oid} as oid where not exists (select from ${name})`,
  );
  const { rows } = await client.query<{ oid: number }>(queries.join(' union all '));
  return new Set(rows.map(({ oid }) => oid));
}

export async function readTables(client: Connection, oids: readonly number[]): Promise<Table[]> {
  const { rows } = await client.query<Table>(
    `
    select c.oid, format('%I.%I', n.nspname, c.relname) as name,
      coalesce((select json_agg(json_build_object('number', a.attnum, 'name', a.attname, 'type', a.atttypid::int8,
            'modifier', a.atttypmod, 'typeName', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull or t.typnotnull,
            'defaults', coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault), 'identity', a.attidentity <> '',
            'generated', a.attgenerated <> '') order by a.attnum)
          from pg_attribute a join pg_type t on t.oid = a.atttypid
          left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns,
      coalesce((select json_agg(json_build_object('columns', ${names('k.conrelid', 'k.conkey')}, 'target', k.confrelid::int8,
            'targetColumns', ${names('k.confrelid', 'k.confkey')}) order by cardinality(k.conkey) desc, k.oid)
          from pg_constraint k where k.conrelid = c.oid and k.contype = 'f' and k.conparentid = 0), '[]') as "foreignKeys",
      coalesce((select json_agg(json_build_object('name', k.conname, 'columns', ${names('k.conrelid', 'k.conkey')},
            'definition', pg_get_constraintdef(k.oid)) order by k.oid)
          from pg_constraint k where k.conrelid = c.oid and k.contype = 'c'), '[]') as checks,
      coalesce((select json_agg(distinct a.attname) from pg_index i
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
         where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)), '[]') as "unique",
      exists (select from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal) as "hasTriggers",
      coalesce((select json_agg(a.attname) from pg_partitioned_table p
          join pg_attribute a on a.attrelid = p.partrelid and a.attnum = any (p.partattrs::int2[])
         where p.partrelid in (select relid from pg_partition_tree(c.oid) union select c.oid)), '[]') as "partitionKey",
      coalesce((select json_agg(pg_get_expr(q.relpartbound, q.oid) order by q.oid) from pg_class q
         where c.relkind = 'p' and q.relispartition and q.oid in (select relid from pg_partition_tree(c.oid))), '[]') as bounds
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = any ($1::oid[]) order by c.oid`,
    [oids],
  );
  return rows;
}

/** Names of a constraint's columns, in its order. */
function names(table: string, key: string): string {
  return `(select coalesce(json_agg(a.attname order by u.position), '[]') from unnest(${key}) with ordinality u (number, position)
           join pg_attribute a on a.attrelid = ${table} and a.attnum = u.number)`;
}

export async function readTypes(client: Connection): Promise<Types> {
  const { rows } = await client.query<Type>(`
    select t.oid, t.typname as name, case when t.typname in ('bit', 'bpchar') then format('pg_catalog.%I', t.typname)
      else format_type(t.oid, null) end as "sqlName", t.typtype as kind, t.typcategory as category,
      case when t.typcategory = 'A' then t.typelem::int8 else 0 end::int4 as element,
      t.typbasetype as base, t.typtypmod as "baseModifier",
      coalesce((select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid), '[]') as labels,
      case when t.typtype = 'c' then coalesce((select json_agg(json_build_object('type', a.atttypid::int8, 'modifier', a.atttypmod)
          order by a.attnum) from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), '[]')
        else '[]' end as attributes,
      coalesce((select r.rngsubtype::int8 from pg_range r where r.rngtypid = t.oid), 0)::int4 as subtype,
      coalesce((select r.rngtypid::int8 from pg_range r where r.rngmultitypid = t.oid), 0)::int4 as range,
      coalesce((select json_agg(json_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid)))
          from pg_constraint k where k.contypid = t.oid and k.contype = 'c'), '[]') as checks
      from pg_type t left join pg_class c on c.oid = t.typrelid
     where t.typtype <> 'p' and (c.oid is null or c.relkind = 'c' or c.relnamespace <> 'pg_catalog'::regnamespace)`);
  return new Map(rows.map((type) => [type.oid, type]));
}
