/** Where a data migration stands: rows in the database that it writes. */
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { Table } from '../vault/table.ts';
import { busy } from './guards.ts';
import type { KeyValues } from './keys.ts';
import type { Pace } from './pace.ts';
import { hasDataMigrations } from './schema.ts';

/**
 * - `running`: rows are left, whether or not a worker is at it
 * - `written`: every row was gone through; what is left is to validate
 */
export type DataMigrationState = 'running' | 'written' | 'finished' | 'cancelled';

/** What may be changed while it runs. */
export interface Control {
  /** Counts the changes. */
  readonly version: number;
  readonly paused: boolean;
  readonly state: DataMigrationState;
  readonly parallelism: number;
  readonly pace: Pace;
  /** Of the throttle, beside those of the database's policy. */
  readonly limits: Readonly<Record<string, unknown>>;
}

export interface DataMigrationRow {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly spec: unknown;
  /** Hash of the module with which it began; null where it has none. */
  readonly code: string | null;
  /** Oid of the table that is written. */
  readonly relation: number;
  readonly control: Control;
  readonly epoch: number;
  /** Rows to go through, as the planner guessed at the start. */
  readonly estimate: number | null;
  /** Counted. */
  readonly total: number | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

/** One part of the table. The rows that are left have `after < key <= through`. */
export interface RangeRow {
  readonly number: string;
  /** Null: from the first row on. */
  readonly after: KeyValues | null;
  /** Null where there is no key: all of the table. */
  readonly through: KeyValues | null;
  /** Where the last batch began. */
  readonly previous: KeyValues | null;
  readonly done: boolean;
  /** False: it is not known whether the last batch's rows are gone where they were read. */
  readonly settled: boolean;
  readonly batches: number;
  readonly scanned: number;
  readonly changed: number;
}

const rowSql = `select m.id, m.name, m.kind, m.spec, m.code, m.relation::int8::float8 as relation, m.epoch, m.estimate::float8 as estimate, m.total::float8 as total,
    m.started_at as "startedAt", m.ended_at as "endedAt",
    pg_catalog.json_build_object('version', m.control, 'paused', m.paused, 'state', m.state, 'parallelism', m.parallelism, 'pace', m.pace, 'limits', m.limits) as control
  from switchback.data_migration m`;

/** Null where it has not begun. */
export async function readMigration(session: Session, id: string): Promise<DataMigrationRow | null> {
  if (!(await hasDataMigrations(session))) return null;
  const { rows } = await session.query<DataMigrationRow>(`${rowSql} where m.id = $1`, [id]);
  return rows[0] ?? null;
}

/** Those that have not ended, or all; the newest first. */
export async function listMigrations(session: Session, which: 'open' | 'all'): Promise<DataMigrationRow[]> {
  if (!(await hasDataMigrations(session))) return [];
  const { rows } = await session.query<DataMigrationRow>(
    `${rowSql} ${which === 'open' ? 'where m.ended_at is null' : ''} order by m.started_at desc, m.id`,
  );
  return rows;
}

export interface Beginning {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly spec: object;
  readonly code: string | null;
  readonly written: Table;
  readonly parallelism: number;
  readonly pace: Pace;
  readonly limits: object;
  readonly estimate: number | null;
  /** Ends of the ranges, in order; `[null]` is the one range of a table without a key; none for an empty table. */
  readonly ends: readonly (KeyValues | null)[];
}

/** @throws AppError `TABLE_BUSY` */
export async function insertMigration(session: Session, beginning: Beginning): Promise<void> {
  const { id, name, kind, spec, code, written, parallelism, pace, limits, estimate, ends } = beginning;
  const { rows: others } = await session.query<{ migration: string; name: string }>(
    'select id as migration, name from switchback.data_migration where relation = $1 and ended_at is null and id <> $2',
    [written.oid, id],
  );
  if (others[0] !== undefined) throw busy(written, others[0]);
  await session.query(
    `insert into switchback.data_migration (id, name, kind, spec, code, relation, parallelism, pace, limits, estimate) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      id,
      name,
      kind,
      JSON.stringify(spec),
      code,
      written.oid,
      parallelism,
      JSON.stringify(pace),
      JSON.stringify(limits),
      estimate,
    ],
  );
  for (const [n, through] of ends.entries())
    await session.query(
      'insert into switchback.data_range (migration, epoch, after, through, previous) values ($1, 0, $2, $3, $2)',
      [id, ends[n - 1] ?? null, through],
    );
}

const rangesSql = `select number::text, after, through, previous, done, settled, batches, scanned::float8 as scanned, changed::float8 as changed
  from switchback.data_range where migration = $1 order by data_range.number`;

export async function readRanges(session: Session, id: string): Promise<RangeRow[]> {
  return (await session.query<RangeRow>(rangesSql, [id])).rows;
}

/** Gives what lies beyond `at` to a range of its own; false where the range is no longer ours. */
export async function splitRange(
  session: Session,
  id: string,
  range: { readonly number: string; readonly epoch: number },
  at: KeyValues,
): Promise<string | null> {
  const { rows } = await session.query<{ number: string }>(
    `with part as (select through from switchback.data_range where number = $2 and epoch = $3 for update),
          cut as (update switchback.data_range r set through = $4 from part where r.number = $2 returning r.number)
     insert into switchback.data_range (migration, epoch, after, through, previous)
     select $1, $3, $4, part.through, $4 from part where exists (select from cut) returning number::text`,
    [id, range.number, range.epoch, at],
  );
  return rows[0]?.number ?? null;
}

export async function setState(session: Session, id: string, state: DataMigrationState): Promise<void> {
  await session.query(
    `update switchback.data_migration set state = $2, ended_at = case when $2 in ('finished', 'cancelled') then pg_catalog.clock_timestamp() end where id = $1`,
    [id, state],
  );
}

/** @throws AppError `JOB_SUPERSEDED` where another worker has claimed it since, `JOB_CANCELLED` */
export async function requireClaim(session: Session, id: string, epoch: number): Promise<DataMigrationRow> {
  const row = await readMigration(session, id);
  if (row?.control.state === 'cancelled') throw cancelled(id);
  if (row?.epoch === epoch) return row;
  throw superseded(id);
}

export const superseded = (id: string): AppError =>
  new AppError(
    'JOB_SUPERSEDED',
    `Another worker has taken the data migration ${id} over. The batch at hand was rolled back; nothing was done twice.`,
    { dataMigration: id },
  );

export const cancelled = (id: string): AppError =>
  new AppError(
    'JOB_CANCELLED',
    `The data migration ${id} was cancelled. The batches before stand; the rest of the rows is as it was.`,
    { dataMigration: id },
  );
