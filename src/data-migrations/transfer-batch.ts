/** A batch that goes through this process: read in one session, written in another, with the cursor. */
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { KeyedSource, Transfer, Work } from './define-kind.ts';
import { type KeyValues, keyTextsSql, orderSql, windowSql } from './keys.ts';
import { rollBack } from './place.ts';
import { type RangeRow, superseded } from './progress.ts';
import { quarantine } from './quarantine.ts';
import {
  type BatchDone,
  type BatchRequest,
  claimSql,
  countSql,
  edgeSql,
  neededSql,
  type OwnRange,
  windowOf,
} from './window.ts';

export interface TransferPlaces {
  readonly source: Session;
  readonly written: Session;
}

/** Null: the range is not ours any more, or the table is another one. Nothing was done then. */
export async function runTransfer(
  work: Work,
  transfer: Transfer,
  places: TransferPlaces,
  range: OwnRange,
  request: BatchRequest,
): Promise<BatchDone | null> {
  const { written, source } = places;
  await written.query('begin');
  try {
    await source.query(work.source.key === null ? 'begin isolation level repeatable read' : 'begin');
    const done = await transferRows(work, transfer, places, range, request);
    await written.query(done === null ? 'rollback' : 'commit');
    await (done === null ? rollBack(source) : commitRead(source));
    return done;
  } catch (error) {
    await rollBack(written);
    await rollBack(source);
    throw error;
  }
}

/**
 * After the cursor was committed. Should it fail, rows are still there where they were read: that is what `settled` is
 * about, and the next attempt begins with it.
 */
async function commitRead(source: Session): Promise<void> {
  try {
    await source.query('commit');
  } catch (error) {
    throw new AppError(
      'DATABASE_UNREACHABLE',
      `What a batch had read in ${source.target.display} could not be committed: ${String(error)}`,
      { database: source.target.display },
      { cause: error },
    );
  }
}

/** In transactions of both sessions, which the caller ends, the written one first. */
export async function transferRows(
  work: Work,
  transfer: Transfer,
  { source, written }: TransferPlaces,
  range: OwnRange,
  request: BatchRequest,
): Promise<BatchDone | null> {
  const { rows } = await written.query(claimSql(range, work.written));
  if (rows.length === 0) return null;
  const part = await partOf(work, source, range, request);
  const { changed, faults } = await transfer({
    read: source,
    write: written,
    rows: part.rows,
    order: part.order,
    name: `batch ${range.row.batches + 1} of range ${range.row.number}`,
    tolerated: request.tolerated,
    again: false,
    signal: request.signal,
  });
  await quarantine(written, range.id, faults);
  // What was deferred to the commit is refused now, while the batch can still be rolled back.
  if (work.removes) await source.query('set constraints all immediate');
  const moved = await move(written, range, part, changed, work.removes);
  return { ...moved, scanned: part.scanned, changed, quarantined: faults.length };
}

interface Part {
  readonly rows: string;
  readonly order: string | null;
  readonly through: KeyValues | null;
  readonly scanned: number;
}

async function partOf(work: Work, session: Session, range: OwnRange, request: BatchRequest): Promise<Part> {
  const { key, table } = work.source;
  if (key === null)
    return { rows: neededSql(range.id, work.source, 'true'), order: null, through: null, scanned: 0 };
  const source: KeyedSource = { ...work.source, key };
  const window = windowOf(range, request);
  const edge = request.through ?? (await edgeOf(session, range, source, request.rows));
  const through = edge ?? window.through;
  const scanned =
    edge !== null && request.through === undefined
      ? request.rows
      : ((
          await session.query<{ count: number }>(
            `select (${countSql(range.id, source, window)})::float8 as count`,
          )
        ).rows[0]?.count ?? 0);
  return {
    rows: neededSql(range.id, source, windowSql(key, table.sql, { after: window.after, through })),
    order: orderSql(key, table.sql),
    through,
    scanned,
  };
}

/** Key of the last row of a batch of so many; null where there are fewer. */
export async function edgeOf(
  session: Session,
  range: OwnRange,
  source: KeyedSource,
  rows: number,
): Promise<KeyValues | null> {
  const window = { after: range.row.after, through: range.row.through ?? [] };
  const { rows: found } = await session.query<{ key: string[] }>(
    `select ${keyTextsSql(source.key, '" edge"')} as key from (${edgeSql(range.id, source, window, rows)}) as " edge"`,
  );
  return found[0]?.key ?? null;
}

async function move(
  session: Session,
  { id, row }: OwnRange,
  part: Part,
  changed: number,
  removes: boolean,
): Promise<{ row: RangeRow; control: number }> {
  const { rows } = await session.query<
    Pick<RangeRow, 'after' | 'previous' | 'done' | 'settled'> & { control: number }
  >(
    `update switchback.data_range set previous = after, after = $2, done = ($2::text[] is null or through = $2), settled = $3, batches = batches + 1,
        scanned = scanned + $4, changed = changed + $5 where number = $1
      returning after, previous, done, settled, (select control from switchback.data_migration where id = $6) as control`,
    [row.number, part.through, !removes, part.through === null ? changed : part.scanned, changed, id],
  );
  const { control = 0, ...place } = rows[0] ?? {};
  return {
    control,
    row: {
      ...row,
      ...place,
      batches: row.batches + 1,
      scanned: row.scanned + part.scanned,
      changed: row.changed + changed,
    },
  };
}

/**
 * After a crash: what the range's last batch had read and was to remove is done once more, unless it is gone.
 */
export async function settleRange(
  work: Work,
  transfer: Transfer,
  places: TransferPlaces,
  { id, row, epoch }: OwnRange,
  signal: AbortSignal,
): Promise<void> {
  const { key, table } = work.source;
  if (row.settled || key === null || row.after === null) return;
  const { written, source } = places;
  await written.query('begin');
  await source.query('begin');
  try {
    const { rows: mine } = await written.query(
      'select from switchback.data_range where number = $1 and epoch = $2 for update',
      [row.number, epoch],
    );
    if (mine.length === 0) throw superseded(id);
    const window = windowSql(key, table.sql, { after: row.previous, through: row.after });
    await transfer({
      read: source,
      write: written,
      rows: neededSql(id, work.source, window),
      order: orderSql(key, table.sql),
      name: `batch ${row.batches} of range ${row.number}`,
      tolerated: 0,
      again: true,
      signal,
    });
    await written.query('commit');
    await source.query('commit');
  } catch (error) {
    await rollBack(written);
    await rollBack(source);
    throw error;
  }
  await written.query('update switchback.data_range set settled = true where number = $1', [row.number]);
}
