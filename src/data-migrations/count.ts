/** Counts the rows that are to be gone through, beside the batches. */
import type { Target } from '../db/target.ts';
import { onlyOf } from '../vault/target.ts';
import type { Work } from './define-kind.ts';
import { wasThereSql } from './guards.ts';
import { windowSql } from './keys.ts';
import type { Meter } from './meter.ts';
import { openPlace } from './place.ts';
import { type RangeRow, readRanges } from './progress.ts';
import { cancelWith } from './worker.ts';

export interface CountRequest {
  readonly id: string;
  readonly source: Target;
  readonly written: Target | null;
}

/**
 * What was gone through, and what the ranges had before them at that moment. Where batches remove the rows that they go
 * through nobody can count them meanwhile.
 * @throws AppError; the guess stands then
 */
export async function countTotal(
  request: CountRequest,
  work: Work,
  meter: Meter,
  signal: AbortSignal,
): Promise<void> {
  if (work.removes || work.source.key === null) return;
  const written = await openPlace(request.written ?? request.source, request.id, 0);
  const source = request.written === null ? written : await openPlace(request.source, request.id, 0);
  const stopCancelling = cancelWith(signal, [source]);
  try {
    const ranges = await readRanges(written, request.id);
    await source.query('set statement_timeout = 0; reset enable_seqscan; reset enable_bitmapscan');
    const { rows } = await source.query<{ count: number }>(countSql(request.id, work, ranges));
    const total = (rows[0]?.count ?? 0) + ranges.reduce((sum, { scanned }) => sum + scanned, 0);
    await written.query('update switchback.data_migration set total = $2 where id = $1', [request.id, total]);
    meter.setTotal(total, true);
  } finally {
    stopCancelling();
    await source.close();
    if (source !== written) await written.close();
  }
}

function countSql(id: string, { source }: Work, ranges: readonly RangeRow[]): string {
  const { table, key } = source;
  if (key === null) return 'select 0::float8 as count';
  const windows = ranges.flatMap(({ done, after, through }) =>
    done || through === null ? [] : [`(${windowSql(key, table.sql, { after, through })})`],
  );
  const where = `(${windows.join(' or ') || 'false'}) and ${wasThereSql({ id, table, key })}`;
  return `select count(*)::float8 as count from ${onlyOf(table)} where ${where}`;
}
