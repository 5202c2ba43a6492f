/** The catalogue as far as it concerns some tables, and what the running transaction did to these. */
import type pg from 'pg';

export interface TableFacts {
  readonly oid: number;
  readonly name: string;
  readonly file: number;
  readonly isPartition: boolean;
  /** Number, NOT NULL, name. */
  readonly columns: readonly (readonly [number, boolean, string])[];
  /** Of the transaction so far. */
  readonly scans: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

export interface IndexFacts {
  readonly oid: number;
  readonly name: string;
  readonly table: number;
  /** 0 where it has none: the index of a partitioned table. */
  readonly file: number;
  readonly scans: number;
}

export interface ConstraintFacts {
  readonly oid: number;
  readonly name: string;
  readonly kind: 'c' | 'f';
  /** 0 for that of a domain. */
  readonly table: number;
  readonly validated: boolean;
}

export interface Snapshot {
  readonly tables: ReadonlyMap<number, TableFacts>;
  readonly indexes: ReadonlyMap<number, IndexFacts>;
  readonly constraints: ReadonlyMap<number, ConstraintFacts>;
  /** Whether the domain is NOT NULL. */
  readonly domains: ReadonlyMap<number, boolean>;
  readonly partitions: number;
  /** The strongest lock that the transaction holds on the table, as a place in `modes`. */
  readonly locks: ReadonlyMap<number, number>;
}

export const modes = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;

const ordinary = `
  c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and c.relnamespace not in (select oid from pg_namespace where nspname in ('pg_catalog', 'information_schema', 'pg_toast'))
  and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')`;

/** The tables that exist; a migration's effects are those on these. */
export async function listTables(client: pg.ClientBase): Promise<number[]> {
  const { rows } = await client.query<{ oid: number }>(
    `select c.oid from pg_class c where ${ordinary} order by c.oid`,
  );
  return rows.map(({ oid }) => oid);
}

/** Those of the tables that have rows. */
export async function withRows(client: pg.ClientBase, tables: Iterable<TableFacts>): Promise<Set<number>> {
  const queries = [...tables].map(
    ({ oid, name }) => `select ${oid}::oid as oid where exists (select from ${name})`,
  );
  if (queries.length === 0) return new Set();
  const { rows } = await client.query<{ oid: number }>(queries.join(' union all '));
  return new Set(rows.map(({ oid }) => oid));
}

/** One round trip, whatever the number of tables. */
export async function takeSnapshot(client: pg.ClientBase, oids: readonly number[]): Promise<Snapshot> {
  const results = (await client.query(snapshotSql(oids))) as unknown as pg.QueryResult[];
  const rowsOf = <Row>(index: number): Row[] => (results[index]?.rows ?? []) as Row[];
  const byOid = <Row extends { oid: number }>(index: number): Map<number, Row> =>
    new Map(rowsOf<Row>(index).map((row) => [row.oid, row]));
  const locks = new Map<number, number>();
  for (const { oid, mode } of rowsOf<{ oid: number; mode: string }>(5))
    locks.set(oid, Math.max(locks.get(oid) ?? -1, rankOf(mode)));
  return {
    tables: byOid(0),
    indexes: byOid(1),
    constraints: byOid(2),
    domains: new Map(rowsOf<{ oid: number; notNull: boolean }>(3).map(({ oid, notNull }) => [oid, notNull])),
    partitions: rowsOf<{ count: number }>(4)[0]?.count ?? 0,
    locks,
  };
}

/** `AccessExclusiveLock` as the manual writes it. */
const rankOf = (mode: string): number =>
  modes.findIndex((name) => `${name.replaceAll(' ', '').toLowerCase()}lock` === mode.toLowerCase());

/** Functions instead of the statistics' views: these would be read for every table of the database. */
function snapshotSql(oids: readonly number[]): string {
  const those = `any ('{${oids.join(',')}}'::oid[])`;
  return `
  select c.oid, format('%I.%I', n.nspname, c.relname) as name, c.relfilenode as file, c.relispartition as "isPartition",
    coalesce((select json_agg(json_build_array(a.attnum, a.attnotnull, a.attname)) from pg_attribute a
       where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns,
    pg_stat_get_xact_numscans(c.oid)::int4 as scans, pg_stat_get_xact_tuples_inserted(c.oid)::int4 as inserted,
    pg_stat_get_xact_tuples_updated(c.oid)::int4 as updated, pg_stat_get_xact_tuples_deleted(c.oid)::int4 as deleted
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = ${those};
  select c.oid, c.relname as name, i.indrelid as table, c.relfilenode as file, pg_stat_get_xact_numscans(c.oid)::int4 as scans
    from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = ${those};
  select k.oid, k.conname as name, k.contype as kind, k.conrelid as table, k.convalidated as validated
    from pg_constraint k where k.contype in ('c', 'f') and (k.conrelid = ${those} or k.contypid <> 0);
  select t.oid, t.typnotnull as "notNull" from pg_type t where t.typtype = 'd' and t.typnamespace <> 'information_schema'::regnamespace;
  select count(*)::int4 as count from pg_inherits h join pg_class c on c.oid = h.inhrelid where c.relkind in ('r', 'p');
  select l.relation as oid, l.mode from pg_locks l where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted
     and l.relation = ${those}`;
}
