/** Rows at fault, tried once more. */
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { KeyedSource, Work } from './define-kind.ts';
import type { Execution } from './execute.ts';
import { failureOf } from './failures.ts';
import { equalsSql, type KeyValues, orderSql } from './keys.ts';
import { openPlace, rollBack } from './place.ts';
import { placesOf } from './run.ts';
import { prepareWork } from './spec.ts';
import { joined } from './statement-batch.ts';

export interface RetryOutcome {
  readonly mended: number;
  /** Still at fault; their errors are those of this try. */
  readonly open: number;
}

export interface RetryRequest
  extends Pick<Execution, 'id' | 'spec' | 'source' | 'written' | 'transforms' | 'signal'> {
  /** Ids of rows in the quarantine; all that are open when absent. */
  readonly rows?: readonly string[];
}

/**
 * Does for rows of the quarantine what the batches did for the others, as the rows are by now; each in a transaction with
 * its note that it is mended, so that none is changed twice. A row that is gone, or needs nothing any more, is mended.
 * @throws AppError those of `Kind.prepare`, of sessions, and what no row is to blame for
 */
export async function retryQuarantined(request: RetryRequest): Promise<RetryOutcome> {
  const { id, spec } = request;
  const source = await openPlace(request.source, id, spec.pace.lockTimeoutMs);
  const written =
    request.written === null ? source : await openPlace(request.written, id, spec.pace.lockTimeoutMs);
  try {
    const work = await prepareWork(spec, placesOf(request, source, written, null));
    try {
      return await retryAll(request, work, { source, written });
    } finally {
      await work.close();
    }
  } finally {
    await source.close();
    if (written !== source) await written.close();
  }
}

async function retryAll(
  { id, rows, signal }: RetryRequest,
  work: Work,
  places: { readonly source: Session; readonly written: Session },
): Promise<RetryOutcome> {
  const outcome = { mended: 0, open: 0 };
  const { rows: open } = await places.written.query<{ id: string }>(
    "select row.id::text from switchback.data_quarantine as row where migration = $1 and state <> 'mended' and ($2::bigint[] is null or row.id = any($2)) order by row.id",
    [id, rows ?? null],
  );
  for (const row of open) {
    signal.throwIfAborted();
    outcome[await retryOne(work, places, row.id, signal)] += 1;
  }
  return outcome;
}

async function retryOne(
  work: Work,
  { source, written }: { readonly source: Session; readonly written: Session },
  row: string,
  signal: AbortSignal,
): Promise<'mended' | 'open'> {
  const across = source !== written;
  const settle =
    "update switchback.data_quarantine set state = 'mended', settled_at = pg_catalog.clock_timestamp() where id = $1";
  await written.query('begin');
  if (across) await source.query('begin');
  try {
    const { rows } = await written.query<{ key: string[]; state: string }>(
      "select key, state from switchback.data_quarantine where id = $1 and state <> 'mended' for update",
      [row],
    );
    const [found] = rows;
    if (found !== undefined) await changeRow(work, { source, written }, found, signal);
    await written.query(
      across && work.removes
        ? "update switchback.data_quarantine set state = 'unsettled' where id = $1"
        : settle,
      [row],
    );
    await written.query('commit');
    if (across) await source.query('commit');
    if (across && work.removes) await written.query(settle, [row]);
    return 'mended';
  } catch (error) {
    await rollBack(written);
    if (across) await rollBack(source);
    if (failureOf(error) !== 'rows' || !(error instanceof AppError)) throw error;
    await written.query('update switchback.data_quarantine set error = $2, tries = tries + 1 where id = $1', [
      row,
      JSON.stringify(error.toRecord()),
    ]);
    return 'open';
  }
}

async function changeRow(
  work: Work,
  { source, written }: { readonly source: Session; readonly written: Session },
  found: { readonly key: KeyValues; readonly state: string },
  signal: AbortSignal,
): Promise<void> {
  const { key, table, where } = work.source as KeyedSource;
  const rows = `${equalsSql(key, table.sql, found.key)} and (${where}) is true`;
  if (work.how.by === 'statement') {
    await written.query(joined(work.how.change(rows)));
    return;
  }
  // Rows that the transfer leaves out are still at fault.
  const { faults } = await work.how.transfer({
    ...{
      read: source,
      write: written,
      rows,
      order: orderSql(key, table.sql),
      name: 'a row of the quarantine',
    },
    ...{ tolerated: 0, again: found.state === 'unsettled', signal },
  });
  const [fault] = faults;
  if (fault !== undefined) throw new AppError(fault.error.code, fault.error.detail, fault.error.details);
}
