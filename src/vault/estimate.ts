import type { Session } from '../db/session.ts';
import { reachOf, resolveFunctions } from './reach.ts';
import type { Removal } from './removals.ts';
import { truncated } from './save-rows.ts';
import { keyWithout, readTable, resolve, resolveAll } from './table.ts';

export interface Estimate {
  /** What the vault would hold more. */
  readonly bytes: number;
  /** Negative where the tables were never analysed. */
  readonly rows: number;
  /** Whether no row is copied: a table that is moved takes no new space. */
  readonly moved: boolean;
  /** Whether it may be less: how many rows a statement changes shows only when it runs. */
  readonly atMost: boolean;
  /** Whether only running the statement shows what it takes. */
  readonly unknown: boolean;
}

const nothing: Estimate = { bytes: 0, rows: 0, moved: false, atMost: false, unknown: false };

/** How much a removal would take, from the catalogue and the statistics: no table is read, no lock is taken. */
export async function estimateRemoval(session: Session, removal: Removal): Promise<Estimate> {
  switch (removal.kind) {
    case 'dropTables': {
      const oids = await truncated(session, await resolveAll(session, removal.tables), false);
      return { ...(await sizeOf(session, oids)), moved: true };
    }
    case 'rows': {
      const oids = await truncated(session, await resolveAll(session, removal.tables), removal.cascade);
      return sizeOf(session, oids);
    }
    case 'changes': {
      if (removal.unlessPlain === true) return { ...nothing, atMost: true };
      const functions = await resolveFunctions(session, removal.functions ?? []);
      const { tables } = await reachOf(session, await resolveAll(session, removal.tables), functions);
      const size = await sizeOf(session, tables);
      // Each row before and after, as text.
      return { ...size, bytes: size.bytes * 2, atMost: true };
    }
    case 'dropColumns':
    case 'values': {
      const oid = await resolve(session, removal.table);
      return oid === null
        ? nothing
        : estimateColumns(session, oid, removal.columns, removal.kind === 'values');
    }
    case 'sequence':
    case 'attributes':
    case 'unkept':
      return nothing;
    case 'drop':
    case 'opaque':
      return { ...nothing, unknown: true };
  }
}

async function sizeOf(session: Session, oids: readonly number[]): Promise<Estimate> {
  const { rows } = await session.query<{ bytes: number; rows: number }>(
    `with recursive tree(oid) as (
       select pg_catalog.unnest($1::pg_catalog.oid[])
       union select h.inhrelid from tree t join pg_catalog.pg_inherits h on h.inhparent = t.oid)
     select coalesce(pg_catalog.sum(pg_catalog.pg_table_size(c.oid)), 0)::pg_catalog.float8 as bytes,
       coalesce(pg_catalog.sum(c.reltuples), 0)::pg_catalog.float8 as rows
       from tree join pg_catalog.pg_class c on c.oid = tree.oid where c.relkind = 'r'`,
    [oids],
  );
  return { ...nothing, bytes: rows[0]?.bytes ?? 0, rows: rows[0]?.rows ?? 0 };
}

/** Header and item pointer of a row. */
const overhead = 28;

async function estimateColumns(
  session: Session,
  oid: number,
  columns: readonly string[],
  twice: boolean,
): Promise<Estimate> {
  const table = await readTable(session, oid);
  if (table === null) return nothing;
  const size = await sizeOf(session, [oid]);
  const key = keyWithout(table, columns);
  const read = [...columns, ...(key ?? table.columns.map(({ name }) => name))];
  const { rows } = await session.query<{ width: number; known: number }>(
    `select coalesce(pg_catalog.sum(w.width), 0)::pg_catalog.float8 as width, pg_catalog.count(*)::pg_catalog.int4 as known from (
       select pg_catalog.max(s.avg_width) as width from pg_catalog.pg_stats s
        where s.schemaname = $1 and s.tablename = $2 and s.attname = any($3::pg_catalog.text[]) group by s.attname) w`,
    [table.schema, table.name, read],
  );
  const { width = 0, known = 0 } = rows[0] ?? {};
  // Without statistics: no more than the whole table.
  if (known < new Set(read).size || size.rows < 0) return { ...size, atMost: true };
  return { ...size, bytes: Math.round(size.rows * (width * (twice ? 2 : 1) + overhead)) };
}
