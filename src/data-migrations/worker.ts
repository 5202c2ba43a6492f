/** Goes through ranges, batch by batch, in sessions of its own. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { KeyedSource, Work } from './define-kind.ts';
import type { DataMigrationEvent } from './events.ts';
import { failureOf, saysChanged } from './failures.ts';
import type { Meter } from './meter.ts';
import { BatchSize, restMs } from './pace.ts';
import type { Held, RangePool } from './pool.ts';
import { type Control, requireClaim, splitRange } from './progress.ts';
import { passOver } from './quarantine.ts';
import { cutKeys, estimateRows } from './ranges.ts';
import { runStatement } from './statement-batch.ts';
import { admitted, type Throttle } from './throttle.ts';
import { edgeOf, runTransfer, type TransferPlaces } from './transfer-batch.ts';
import type { BatchDone, BatchRequest, OwnRange } from './window.ts';

/** What the workers of one run share. */
export interface Run {
  readonly id: string;
  readonly epoch: number;
  readonly work: Work;
  readonly pool: RangePool;
  readonly meter: Meter;
  readonly throttle: Throttle;
  readonly toleratedRows: number;
  /** Aborted when the run is to end at once. */
  readonly signal: AbortSignal;
  readonly report: (event: DataMigrationEvent) => void;
  /** As it was read last. */
  control(): Control;
  /** Reads it again. */
  refresh(): Promise<void>;
  /** Whether there are more workers than the parallelism allows; who is told so leaves. */
  isSurplus(): boolean;
  /** After each batch. */
  batchDone(): void;
}

/** Without one batch that succeeds in so long, the error stands. */
const patienceMs = 300_000;
const longestPauseMs = 5_000;

export class Worker {
  readonly #run: Run;
  readonly #places: TransferPlaces;
  #size = new BatchSize();
  #failures = 0;
  #lastSuccess = performance.now();

  constructor(run: Run, places: TransferPlaces) {
    this.#run = run;
    this.#places = places;
  }

  /** @throws AppError what ends the run; the signal's reason */
  async work(): Promise<void> {
    for (let held = await this.#run.pool.take(); held !== null; held = await this.#run.pool.take())
      if (!(await this.#range(held))) return;
  }

  /** False: this worker leaves. */
  async #range(held: Held): Promise<boolean> {
    const { pool, signal } = this.#run;
    const { key } = this.#run.work.source;
    const source = key === null ? null : { ...this.#run.work.source, key };
    this.#size = new BatchSize();
    if (source !== null && held.row.through !== null)
      held.rest = await estimateRows(this.#places.source, source, {
        after: held.row.after,
        through: held.row.through,
      });
    while (!held.row.done) {
      signal.throwIfAborted();
      if (pool.stopped || this.#run.isSurplus()) {
        pool.giveBack(held);
        return false;
      }
      if (held.wanted) await this.#share(held, source);
      await this.#next(held, source);
    }
    await this.#settle(held);
    pool.settle(held, 'done');
    return true;
  }

  /** One batch, or what is left of it after what went wrong. */
  async #next(held: Held, source: KeyedSource | null): Promise<void> {
    const { signal, throttle, meter, pool } = this.#run;
    const askedAt = performance.now();
    const { factor } = await admitted(throttle, AbortSignal.any([signal, pool.leaving])).catch(
      (error: unknown) => {
        signal.throwIfAborted();
        if (pool.stopped) return { factor: 0 };
        throw error;
      },
    );
    if (factor === 0) return;
    // However long it was held, that is no failure.
    this.#lastSuccess += performance.now() - askedAt;
    const { pace } = this.#run.control();
    const rows = this.#size.next(pace, factor);
    const startedAt = performance.now();
    try {
      const done = await this.#batch(held, { rows });
      const tookMs = performance.now() - startedAt;
      // The last batch of a range has fewer rows than were asked for.
      if (done.scanned >= rows) this.#size.succeeded(rows, tookMs, pace);
      this.#failures = 0;
      this.#lastSuccess = performance.now();
      meter.tick();
      this.#run.batchDone();
      const rest = restMs({ rows: done.scanned, tookMs }, pace, factor, this.#run.control().parallelism);
      if (rest >= 1)
        await Promise.allSettled([
          pause(rest, undefined, { signal: AbortSignal.any([signal, pool.leaving]) }),
        ]);
    } catch (error) {
      await this.#failed(held, source, rows, error);
    }
  }

  async #batch(held: Held, request: Pick<BatchRequest, 'rows' | 'through'>): Promise<BatchDone> {
    const { work, meter, signal, toleratedRows } = this.#run;
    const range = this.#own(held);
    const whole = { ...request, tolerated: toleratedRows - meter.quarantined, signal };
    const done =
      work.how.by === 'statement'
        ? await runStatement(work, work.how.change, this.#places.written, range, whole)
        : await runTransfer(work, work.how.transfer, this.#places, range, whole);
    if (done === null) throw await this.#notOurs();
    held.row = done.row;
    held.rest = Math.max(0, held.rest - done.scanned);
    meter.set(done.row);
    meter.addQuarantined(done.quarantined);
    if (done.control !== this.#run.control().version) await this.#run.refresh();
    return done;
  }

  #own(held: Held): OwnRange {
    return { id: this.#run.id, epoch: this.#run.epoch, row: held.row };
  }

  /** Why a batch found nothing that it could claim. */
  async #notOurs(): Promise<Error> {
    const { id, epoch, work } = this.#run;
    await requireClaim(this.#places.written, id, epoch);
    return changedTable(work);
  }

  async #failed(held: Held, source: KeyedSource | null, rows: number, error: unknown): Promise<void> {
    const { signal, report, work } = this.#run;
    signal.throwIfAborted();
    const failure = failureOf(error);
    if (saysChanged(error)) throw changedTable(work, error);
    if (failure === 'stop' || failure === 'lost' || source === null) throw error;
    if (failure === 'rows' && rows === 1) return this.#atFault(held, source);
    if (failure !== 'again') this.#size.halve(rows);
    if (failure === 'rows') return;
    if (performance.now() - this.#lastSuccess > patienceMs) throw error;
    this.#failures += 1;
    report({ type: 'retrying', reason: error instanceof Error ? error.message : String(error), rows });
    const longest = Math.min(longestPauseMs, 50 * 2 ** this.#failures);
    await pause(longest / 2 + (Math.random() * longest) / 2, undefined, { signal }).catch(() =>
      signal.throwIfAborted(),
    );
  }

  /** A batch of one row failed: the row is named, tried once more by its name, and left out. */
  async #atFault(held: Held, source: KeyedSource): Promise<void> {
    const { meter, toleratedRows, work, report } = this.#run;
    const key = await edgeOf(this.#places.source, this.#own(held), source, 1);
    if (key === null) return;
    try {
      await this.#batch(held, { rows: 1, through: key });
      return;
    } catch (error) {
      if (failureOf(error) !== 'rows' || !(error instanceof AppError)) throw error;
      if (meter.quarantined >= toleratedRows) throw tooMany(error, work, key, toleratedRows);
      const fault = { key, error: error.toRecord() };
      if (!(await passOver(this.#places.written, this.#own(held), work.written, fault)))
        throw await this.#notOurs();
      meter.addQuarantined(1);
      held.row = {
        ...held.row,
        previous: key,
        after: key,
        done: key.join('\0') === held.row.through?.join('\0'),
        settled: true,
        scanned: held.row.scanned + 1,
      };
      meter.set(held.row);
      report({ type: 'row-at-fault', ...fault });
    }
  }

  /** Gives the second half of what is left to a range of its own. */
  async #share(held: Held, source: KeyedSource | null): Promise<void> {
    const { pool, id, epoch, meter, report } = this.#run;
    const { after, through } = held.row;
    const rows = this.#size.next(this.#run.control().pace, 1);
    if (source === null || through === null || held.rest < 2 * rows) return pool.settle(held, 'whole');
    const [middle] = await cutKeys(this.#places.source, source, { after, through }, 2);
    const at = middle ?? (await edgeOf(this.#places.source, this.#own(held), source, 2 * rows));
    if (at === null || at.join('\0') === through.join('\0')) return pool.settle(held, 'whole');
    const number = await splitRange(this.#places.written, id, { number: held.row.number, epoch }, at);
    if (number === null) throw await this.#notOurs();
    const part = {
      ...held.row,
      number,
      after: at,
      through,
      previous: at,
      batches: 0,
      scanned: 0,
      changed: 0,
    };
    held.row = { ...held.row, through: at };
    held.rest /= 2;
    held.wanted = false;
    meter.set(held.row);
    meter.set(part);
    report({ type: 'range-split', range: held.row.number });
    pool.add(part);
  }

  /** What the last batch read and removed is gone: its transaction was committed. */
  async #settle(held: Held): Promise<void> {
    if (held.row.settled) return;
    await this.#places.written.query('update switchback.data_range set settled = true where number = $1', [
      held.row.number,
    ]);
    held.row = { ...held.row, settled: true };
  }
}

/** Ends the sessions' statements when the signal says so; returns what stops that. */
export function cancelWith(signal: AbortSignal, sessions: readonly Session[]): () => void {
  const cancel = (): void => {
    // A session that is gone has nothing to cancel.
    void Promise.allSettled(sessions.filter(({ alive }) => alive).map((session) => session.cancel()));
  };
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

function changedTable(work: Work, cause?: unknown): AppError {
  const names = [work.source.table, work.written].map(({ schema, name }) => `${schema}.${name}`);
  const reason = cause instanceof AppError ? `: ${String(cause.details.reason)}` : '';
  return new AppError(
    'TABLE_CHANGED',
    `${[...new Set(names)].join(' or ')} is not the table any more with which the data migration began${reason}. The batches before stand. Put the table back and resume, or cancel.`,
    { tables: [...new Set(names)] },
    { cause },
  );
}

/** Keys are data: they stand in `details.detail`, which is shown to readers of the database and never logged. */
function tooMany(error: AppError, work: Work, key: readonly string[], tolerated: number): AppError {
  const { table } = work.source;
  const names = work.source.key?.columns.map(({ name }) => name) ?? [];
  return new AppError(
    'ROWS_AT_FAULT',
    `A row of ${table.schema}.${table.name} is at fault, and no more than ${tolerated} are tolerated: ${error.message} ` +
      'The batches before stand, the row is as it was. Mend the row, or tolerate more (`toleratedRows`), and resume.',
    { ...error.details, tolerated, detail: names.map((name, n) => `${name} = ${key[n]}`).join(', ') },
    { cause: error },
  );
}
