/** Tells what a data migration does: in the events of its job, and in its record for whoever looks later. */
import type { DataMigrationEvent, DataMigrationProgress } from '../../data-migrations/events.ts';
import type { ThrottleEvent } from '../../data-migrations/throttle.ts';
import type { Prisma } from '../../db/control/generated/client.ts';
import { toJson } from '../../db/control/job-rows.ts';
import type { JobContext, Progress } from '../define-job.ts';
import type { DataMigrationPayload, DataMigrationStep } from '../kinds/data-migration.ts';

/** Of what may come by the thousand, so many are told one by one, and then each one more after so many. */
const toldAtFirst = 20;
const thenEvery = 1_000;

const nothing: DataMigrationProgress = {
  ...{ scanned: 0, changed: 0, quarantined: 0, total: null, exact: false },
  ...{ rowsPerSecond: 0, secondsLeft: null, ranges: 0 },
};

type Told = Pick<JobContext<DataMigrationPayload, DataMigrationStep>, 'note' | 'log' | 'deps' | 'step'>;

/** Of progress: the longer it runs, the rarer. The record has it each second. */
const mostEvents = 1_000;

export class Teller {
  /** Of the job's step. */
  progress: Progress = () => undefined;
  last: DataMigrationProgress = nothing;
  readonly timings: { readonly step: string; readonly durationMs: number }[] = [];
  /** By the throttle. */
  pauses = { count: 0, totalMs: 0 };
  readonly #context: Told;
  readonly #id: string;
  readonly #times = new Map<string, number>();
  readonly #startedAt = performance.now();
  #tellAt = 0;
  #due: Prisma.DataMigrationUpdateInput = {};
  #writing: Promise<void> | null = null;

  constructor(context: Told, id: string) {
    this.#context = context;
    this.#id = id;
  }

  /** Runs a step of the job, and notes how long it took. */
  async step<T>(name: DataMigrationStep, work: (progress: Progress) => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      return await this.#context.step(name, work);
    } finally {
      this.timings.push({ step: name, durationMs: Math.round(performance.now() - startedAt) });
    }
  }

  readonly throttle = ({ type, message, data }: ThrottleEvent): void => {
    this.#note(type, message, data);
    if (type === 'throttle-paused') this.pauses = { ...this.pauses, count: this.pauses.count + 1 };
    if (type === 'throttle-resumed' && typeof data.pausedMs === 'number')
      this.pauses = { ...this.pauses, totalMs: this.pauses.totalMs + data.pausedMs };
    const at = new Date().toISOString();
    if (type !== 'throttle-not-watched') this.#keep({ throttle: toJson({ event: type, message, at }) });
  };

  /** Keys and values of rows are not for events: the quarantine has them. */
  readonly report = (event: DataMigrationEvent): void => {
    const { type } = event;
    if (type === 'progress' || type === 'resumed' || type === 'written') this.#progress(event.progress);
    if (type === 'begun')
      this.#note(type, `Begun by the key (${event.key.join(', ')}), in ${event.ranges} ranges`, {
        estimate: event.estimate,
      });
    else if (type === 'written') this.#note(type, 'Every row was gone through');
    else if (type === 'orphans-ended')
      this.#note(type, `${event.count} sessions of an earlier worker were ended`);
    else if (type === 'control') this.#note(type, controlled(event.control));
    else if (type === 'reconnecting') this.#note(type, `The database is tried again: ${event.reason}`);
    else if (type === 'vacuumed') this.#note(type, `Vacuumed in ${event.tookMs} ms`);
    else if (type === 'swapped')
      this.#note(type, `${event.table} is the other one of the two tables, in ${event.tookMs} ms`);
    else if (type === 'retrying') this.#often(type, `A batch is tried again: ${event.reason}`);
    else if (type === 'row-at-fault')
      this.#often(
        type,
        `A row is at fault and goes to the quarantine: ${event.error.title} (${event.error.code})`,
      );
  };

  /** Resolves when the record has all that was told. */
  async flush(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  #progress(progress: DataMigrationProgress): void {
    this.last = progress;
    this.#keep({ progress: toJson(progress) });
    const elapsedMs = performance.now() - this.#startedAt;
    if (progress.ranges > 0 && elapsedMs < this.#tellAt) return;
    this.#tellAt = elapsedMs + elapsedMs / mostEvents;
    const { scanned: done, total } = progress;
    this.progress({ done, ...(total === null ? {} : { total }), unit: 'rows', message: paceOf(progress) });
  }

  #often(type: string, message: string): void {
    const times = (this.#times.get(type) ?? 0) + 1;
    this.#times.set(type, times);
    if (times <= toldAtFirst || times % thenEvery === 0) this.#note(type, message, { times });
  }

  #note(event: string, message: string, data: Readonly<Record<string, unknown>> = {}): void {
    this.#context.note(message, { ...data, event });
    this.#context.log.info({ dataMigration: this.#id, event }, message);
  }

  /** One write at a time; what comes meanwhile is written together. */
  #keep(data: Prisma.DataMigrationUpdateInput): void {
    this.#due = { ...this.#due, ...data };
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    const { deps, log } = this.#context;
    while (Object.keys(this.#due).length > 0) {
      const data = this.#due;
      this.#due = {};
      try {
        await deps.control.prisma.dataMigration.update({ where: { id: this.#id }, data });
      } catch (error) {
        // The next progress says more.
        log.warn({ err: error }, 'the progress of a data migration could not be written');
      }
    }
    this.#writing = null;
  }
}

const paceOf = ({ rowsPerSecond, secondsLeft, exact, quarantined }: DataMigrationProgress): string =>
  [
    `${rowsPerSecond} rows/s`,
    ...(secondsLeft === null ? [] : [`about ${secondsLeft} s left`]),
    ...(exact ? [] : ['the total is an estimate']),
    ...(quarantined === 0 ? [] : [`${quarantined} in the quarantine`]),
  ].join(', ');

const controlled = ({
  paused,
  parallelism,
  pace,
}: Extract<DataMigrationEvent, { type: 'control' }>['control']): string =>
  paused
    ? 'A pause was asked for'
    : `Going on with ${parallelism} ranges at once, batches of ${pace.targetMs} ms${pace.rowsPerSecond === null ? '' : `, at most ${pace.rowsPerSecond} rows a second`}`;
