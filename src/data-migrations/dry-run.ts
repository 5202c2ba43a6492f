/** What a data migration would do, from its first batch, which is rolled back. */
import type { Session } from '../db/session.ts';
import { onlyOf } from '../vault/target.ts';
import type { KeyedSource, Work } from './define-kind.ts';
import type { Execution } from './execute.ts';
import { laterTableSql } from './guards.ts';
import { keyTextsSql, orderSql } from './keys.ts';
import { openPlace, rollBack } from './place.ts';
import { insertMigration, readRanges } from './progress.ts';
import { estimateRows } from './ranges.ts';
import { placesOf } from './run.ts';
import { ensureDataMigrations } from './schema.ts';
import { prepareWork } from './spec.ts';
import { plannedSql, runStatement } from './statement-batch.ts';
import { transferRows } from './transfer-batch.ts';
import type { BatchDone, BatchRequest, OwnRange } from './window.ts';

export interface DryRun {
  /** Columns of the key that is gone by; empty where there is none. */
  readonly key: readonly string[];
  /** Rows to go through, as the planner guesses; null without a key. */
  readonly estimate: number | null;
  readonly batch: { readonly scanned: number; readonly changed: number; readonly tookMs: number } | null;
  /** For all rows in one range at the first batch's speed; null where nothing can be said. */
  readonly estimatedSeconds: number | null;
  /** PostgreSQL's plan for the batch; empty where rows go through this process. */
  readonly plan: readonly string[];
}

const rows = 1_000;

/**
 * Nothing of it stays: no row, no table of ours, no trigger. Rows of the first batch are locked for a moment.
 * @throws AppError those of `Kind.prepare`, and what the first batch meets
 */
export async function dryRun(
  request: Pick<Execution, 'id' | 'spec' | 'source' | 'written' | 'transforms' | 'signal'>,
): Promise<DryRun> {
  const { id, spec } = request;
  const source = await openPlace(request.source, id, spec.pace.lockTimeoutMs);
  const written =
    request.written === null ? source : await openPlace(request.written, id, spec.pace.lockTimeoutMs);
  try {
    const work = await prepareWork(spec, placesOf(request, source, written, null));
    try {
      return await tryFirst(request, work, { source, written });
    } finally {
      await work.close();
    }
  } finally {
    await source.close();
    if (written !== source) await written.close();
  }
}

interface Sessions {
  readonly source: Session;
  readonly written: Session;
}

async function tryFirst(
  request: Parameters<typeof dryRun>[0],
  prepared: Work,
  sessions: Sessions,
): Promise<DryRun> {
  const { source, written } = sessions;
  const { key } = prepared.source;
  await written.query('begin');
  if (source !== written) await source.query('begin');
  try {
    const work = (await prepared.begin?.('dry')) ?? prepared;
    const range = await prepareFirst(request, work, sessions);
    const plan = range === null ? [] : await planOf(work, written, range, request.signal);
    const startedAt = performance.now();
    // Without a key the first batch would be all there is.
    const done =
      range === null || key === null ? null : await firstBatch(work, sessions, range, request.signal);
    const tookMs = Math.round(performance.now() - startedAt);
    const estimate = range?.estimate ?? (range === null && key !== null ? 0 : null);
    return {
      key: key?.columns.map(({ name }) => name) ?? [],
      estimate,
      batch: done === null ? null : { scanned: done.scanned, changed: done.changed, tookMs },
      estimatedSeconds:
        done === null || estimate === null || done.scanned === 0
          ? null
          : Math.ceil((estimate * Math.max(1, tookMs)) / done.scanned / 1_000),
      plan,
    };
  } finally {
    await rollBack(written);
    if (source !== written) await rollBack(source);
  }
}

/** Null: the table is empty. The later rows' table is there, the triggers are not: they would lock the table. */
async function prepareFirst(
  { id, spec }: Parameters<typeof dryRun>[0],
  work: Work,
  { source, written }: Sessions,
): Promise<(OwnRange & { readonly estimate: number | null }) | null> {
  const { table, key } = work.source;
  await ensureDataMigrations(written);
  if (source !== written) await ensureDataMigrations(source);
  let through: string[] | null = null;
  let estimate: number | null = null;
  if (key !== null) {
    const keyed: KeyedSource = { ...work.source, key };
    const { rows: last } = await source.query<{ key: string[] }>(
      `select ${keyTextsSql(key, table.sql)} as key from ${onlyOf(table)} order by ${orderSql(key, table.sql, 'desc')} limit 1`,
    );
    through = last[0]?.key ?? null;
    if (through === null) return null;
    await source.query(laterTableSql({ id, table, key }));
    estimate = await estimateRows(source, keyed, { after: null, through });
  }
  const { name, kind, parallelism, pace } = spec;
  await insertMigration(written, {
    ...{
      id,
      name,
      kind,
      spec,
      code: work.code ?? null,
      written: work.written,
      parallelism,
      pace,
      limits: {},
      estimate,
      ends: [through],
    },
  });
  const [row] = await readRanges(written, id);
  return row === undefined ? null : { id, epoch: 0, row, estimate };
}

const requestOf = (signal: AbortSignal): BatchRequest => ({ rows, tolerated: 0, signal });

async function planOf(work: Work, session: Session, range: OwnRange, signal: AbortSignal): Promise<string[]> {
  if (work.how.by !== 'statement') return [];
  const { rows: lines } = await session.query<{ 'QUERY PLAN': string }>(
    `explain (costs off) ${plannedSql(work, work.how.change, range, requestOf(signal))}`,
  );
  return lines.map((line) => line['QUERY PLAN']);
}

const firstBatch = (
  work: Work,
  places: Sessions,
  range: OwnRange,
  signal: AbortSignal,
): Promise<BatchDone | null> =>
  work.how.by === 'statement'
    ? runStatement(work, work.how.change, places.written, range, requestOf(signal))
    : transferRows(work, work.how.transfer, places, range, requestOf(signal));
