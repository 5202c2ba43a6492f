/** Has the ranges gone through by as many workers as the parallelism says. */
import type { Session } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { toAppError } from '../errors.ts';
import { countTotal } from './count.ts';
import type { Work } from './define-kind.ts';
import type { ThrottleLimits } from './define-signal.ts';
import type { DataMigrationEvent, DataMigrationProgress } from './events.ts';
import { Meter } from './meter.ts';
import { pauseOr } from './patience.ts';
import { openPlace } from './place.ts';
import { RangePool } from './pool.ts';
import { type Control, type DataMigrationRow, type RangeRow, readRanges, requireClaim } from './progress.ts';
import { countQuarantined } from './quarantine.ts';
import type { DataMigrationSpec } from './spec.ts';
import type { Throttle } from './throttle.ts';
import { settleRange, type TransferPlaces } from './transfer-batch.ts';
import { Vacuum } from './vacuum.ts';
import { cancelWith, type Run, Worker } from './worker.ts';

export interface Execution {
  readonly id: string;
  readonly spec: DataMigrationSpec;
  readonly source: Target;
  readonly written: Target | null;
  /** The configured folder with modules. */
  readonly transforms?: string | undefined;
  readonly throttle: (limits: () => Partial<ThrottleLimits>) => Throttle;
  readonly signal: AbortSignal;
  readonly report: (event: DataMigrationEvent) => void;
}

/** How often it is looked whether somebody has changed what may be changed. */
const lookEveryMs = 1_000;
const countAfterMs = 10_000;

/**
 * @param main sessions that are free
 * @param succeeded is called after each batch
 * @returns with `ranges` above 0 when a pause was asked for
 */
export async function executeRanges(
  execution: Execution,
  work: Work,
  main: TransferPlaces,
  row: DataMigrationRow,
  succeeded: () => void,
): Promise<DataMigrationProgress> {
  const { id, report, signal } = execution;
  const ranges = await readRanges(main.written, id);
  const meter = await meterOf(main.written, row, ranges, (progress) =>
    report({ type: 'progress', progress }),
  );
  if (work.how.by === 'transfer')
    for (const range of ranges)
      await settleRange(work, work.how.transfer, main, { id, epoch: row.epoch, row: range }, signal);
  const pool = new RangePool(ranges.filter(({ done }) => !done));
  try {
    if (meter.progress().ranges > 0 && !row.control.paused)
      await new Crew(execution, work, main, row, pool, meter, succeeded).run();
  } finally {
    // Who reads why it failed wants to know how far it came.
    report({ type: 'progress', progress: meter.progress() });
  }
  return meter.progress();
}

/** How far it is, from its rows. */
export async function progressOf(session: Session, row: DataMigrationRow): Promise<DataMigrationProgress> {
  return (await meterOf(session, row, await readRanges(session, row.id), () => undefined)).progress();
}

async function meterOf(
  session: Session,
  row: DataMigrationRow,
  ranges: readonly RangeRow[],
  tell: (progress: DataMigrationProgress) => void,
): Promise<Meter> {
  const meter = new Meter(tell);
  for (const range of ranges) meter.set(range);
  meter.setTotal(row.total ?? row.estimate, row.total !== null);
  meter.addQuarantined(await countQuarantined(session, row.id));
  return meter;
}

/** The workers of one run, and what goes on beside them. */
class Crew {
  readonly #execution: Execution;
  readonly #work: Work;
  readonly #main: TransferPlaces;
  readonly #row: DataMigrationRow;
  readonly #pool: RangePool;
  readonly #meter: Meter;
  readonly #succeeded: () => void;
  readonly #vacuum: Vacuum;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #throttle: Throttle;
  readonly #workers = new Set<Promise<void>>();
  #control: Control;
  #count = 0;
  #failure: unknown = null;
  #refreshing: Promise<void> | null = null;

  constructor(
    execution: Execution,
    work: Work,
    main: TransferPlaces,
    row: DataMigrationRow,
    pool: RangePool,
    meter: Meter,
    succeeded: () => void,
  ) {
    this.#execution = execution;
    this.#work = work;
    this.#main = main;
    this.#row = row;
    this.#pool = pool;
    this.#meter = meter;
    this.#succeeded = succeeded;
    this.#control = row.control;
    this.#signal = AbortSignal.any([execution.signal, this.#failed.signal]);
    this.#throttle = execution.throttle(() => this.#control.limits);
    this.#vacuum = new Vacuum(execution.written ?? execution.source, work.written, execution.report);
  }

  /** @throws what ended one of the workers */
  async run(): Promise<void> {
    const timer = setInterval(() => void this.#refresh(), lookEveryMs);
    // Where it cannot be counted the guess stands, and says that it is one.
    const counting =
      this.#row.total === null
        ? // Only for the display; what is wrong with the database the batches meet as well.
          Promise.allSettled([this.#countTotal()])
        : null;
    try {
      this.#hire();
      while (this.#workers.size > 0) await Promise.race(this.#workers);
    } finally {
      clearInterval(timer);
      this.#failed.abort();
      await this.#refreshing;
      await counting;
      await this.#vacuum.close();
      await this.#throttle.close();
    }
    this.#execution.signal.throwIfAborted();
    if (this.#failure !== null) throw toAppError(this.#failure);
  }

  /** A short run does without: it would count nearly as long as it runs. */
  async #countTotal(): Promise<void> {
    await pauseOr(countAfterMs, this.#signal);
    await countTotal(this.#execution, this.#work, this.#meter, this.#signal);
  }

  /** As many workers as there may be. */
  #hire(): void {
    while (this.#count < this.#control.parallelism && !this.#pool.stopped) {
      this.#count += 1;
      const worker: Promise<void> = this.#employ()
        .catch((error: unknown) => this.#fail(error))
        .finally(() => this.#workers.delete(worker));
      this.#workers.add(worker);
    }
  }

  async #employ(): Promise<void> {
    const { id, source, written } = this.#execution;
    const sessions: Session[] = [];
    let stopCancelling = (): void => undefined;
    try {
      for (const target of this.#work.how.by === 'statement' ? [source] : [source, written ?? source])
        sessions.push(await openPlace(target, id, this.#control.pace.lockTimeoutMs));
      stopCancelling = cancelWith(this.#signal, sessions);
      const [first, second = first] = sessions as [Session, Session?];
      await new Worker(this.#asRun(), { source: first, written: second }).work();
    } finally {
      this.#count -= 1;
      stopCancelling();
      for (const session of sessions) await session.close();
    }
  }

  #asRun(): Run {
    return {
      id: this.#execution.id,
      epoch: this.#row.epoch,
      work: this.#work,
      pool: this.#pool,
      meter: this.#meter,
      throttle: this.#throttle,
      toleratedRows: this.#execution.spec.toleratedRows,
      signal: this.#signal,
      report: this.#execution.report,
      control: () => this.#control,
      refresh: () => this.#refresh(),
      isSurplus: () => this.#count > this.#control.parallelism,
      batchDone: () => {
        this.#succeeded();
        this.#vacuum.batchDone(this.#execution.spec.vacuumEvery);
      },
    };
  }

  /** The first failure ends all of them; what the others say then follows from it. */
  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#pool.stop();
    this.#failed.abort(error);
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#look()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#refreshing = null;
      });
    return this.#refreshing;
  }

  async #look(): Promise<void> {
    const { control } = await requireClaim(this.#main.written, this.#execution.id, this.#row.epoch);
    this.#meter.tick();
    if (control.version === this.#control.version) return;
    this.#control = control;
    this.#execution.report({ type: 'control', control });
    if (control.paused) this.#pool.stop();
    this.#hire();
  }
}
