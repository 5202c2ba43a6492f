/** Runs a data migration from where it stands to its end. */
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { begin } from './begin.ts';
import { claim, endOrphans, lockMigration } from './claim.ts';
import type { KindPlaces, Work } from './define-kind.ts';
import type { DataMigrationProgress } from './events.ts';
import { type Execution, executeRanges, progressOf } from './execute.ts';
import { failureOf } from './failures.ts';
import { unguard } from './guards.ts';
import { patiently, pauseOr } from './patience.ts';
import { inTransaction, openPlace } from './place.ts';
import { cancelled, type DataMigrationRow, readMigration, requireClaim, setState } from './progress.ts';
import { type DataMigrationSpec, fingerprintOf, prepareWork } from './spec.ts';
import { cancelWith } from './worker.ts';

/** `id`: a UUID; whoever runs it again with the same goes on where it stands. */
export interface DataMigrationRun extends Execution {
  /**
   * Once all rows are written, before the triggers go and it is finished. What it throws ends the run; the next one begins
   * with it.
   */
  readonly validate?: (work: Work) => Promise<void>;
}

export interface DataMigrationOutcome {
  readonly state: 'paused' | 'finished';
  readonly progress: DataMigrationProgress;
}

/** So long a database may be away, without one batch in between. */
const outageMs = 300_000;

/**
 * @throws AppError `TABLE_NOT_FOUND`, `MAPPING_INVALID`, `KEY_UNUSABLE`, `TABLE_BUSY`, `DATA_MIGRATION_CHANGED`,
 * `ROWS_AT_FAULT`, `TABLE_CHANGED`, `JOB_SUPERSEDED`, `JOB_CANCELLED`, those of sessions; the
 * signal's reason. After any of them it can be run again.
 */
export async function runDataMigration(run: DataMigrationRun): Promise<DataMigrationOutcome> {
  const life = { epoch: null as number | null, lastBatch: performance.now() };
  for (let tries = 1; ; tries += 1) {
    try {
      return await new Attempt(run, life).go();
    } catch (error) {
      run.signal.throwIfAborted();
      if (failureOf(error) !== 'lost' || performance.now() - life.lastBatch > outageMs) throw error;
      run.report({ type: 'reconnecting', reason: error instanceof Error ? error.message : String(error) });
      await pauseOr(Math.min(5_000, 100 * 2 ** Math.min(tries, 6)), run.signal);
    }
  }
}

/** From sessions that are opened to sessions that are closed, or lost. */
class Attempt {
  readonly #run: DataMigrationRun;
  /** What outlives it: the epoch of our last claim, and when there last was a batch. */
  readonly #life: { epoch: number | null; lastBatch: number };
  readonly #sessions: Session[] = [];

  constructor(run: DataMigrationRun, life: { epoch: number | null; lastBatch: number }) {
    this.#run = run;
    this.#life = life;
  }

  async go(): Promise<DataMigrationOutcome> {
    const { source: reading, written: writing, signal } = this.#run;
    let stopCancelling = (): void => undefined;
    try {
      const source = await this.#open(reading);
      const written = writing === null ? source : await this.#open(writing);
      stopCancelling = cancelWith(signal, this.#sessions);
      return await this.#with(source, written);
    } finally {
      stopCancelling();
      for (const session of this.#sessions) await session.close();
    }
  }

  async #open(target: DataMigrationRun['source']): Promise<Session> {
    const session = await openPlace(target, this.#run.id, this.#run.spec.pace.lockTimeoutMs);
    this.#sessions.push(session);
    return session;
  }

  async #with(source: Session, written: Session): Promise<DataMigrationOutcome> {
    const { id, spec, report, signal } = this.#run;
    // Whoever has taken over must not be ended by us.
    if (this.#life.epoch !== null) await requireClaim(written, id, this.#life.epoch);
    let ended = await endOrphans(source, id);
    if (source !== written) ended += await endOrphans(written, id);
    if (ended > 0) report({ type: 'orphans-ended', count: ended });
    await lockMigration(written, id, signal);
    const known = await readKnown(written, id, spec);
    // Killed between its end and the word of it.
    if (known?.control.state === 'finished')
      return { state: 'finished', progress: await progressOf(written, known) };
    let work = await prepareWork(spec, placesOf(this.#run, source, written, known?.code ?? null));
    try {
      if (known === null) {
        work = await begun(this.#run, work, source);
        await begin(this.#run, work, { source, written });
      }
      const epoch = await claim(written, id, this.#life.epoch);
      this.#life.epoch = epoch;
      const row = (await readMigration(written, id)) as DataMigrationRow;
      return await this.#goOn(work, { source, written }, row);
    } finally {
      await work.close();
    }
  }

  async #goOn(
    work: Work,
    places: { readonly source: Session; readonly written: Session },
    row: DataMigrationRow,
  ): Promise<DataMigrationOutcome> {
    const { id, report, validate } = this.#run;
    const progress = await executeRanges(this.#run, work, places, row, () => {
      this.#life.lastBatch = performance.now();
    });
    if (progress.ranges > 0) return { state: 'paused', progress };
    if (row.control.state === 'running') {
      await setState(places.written, id, 'written');
      report({ type: 'written', progress });
    }
    if (work.judged !== true) await validate?.(work);
    await patiently(places.source, this.#run, () => unguard(places.source, id));
    await work.finish?.(this.#run);
    await setState(places.written, id, 'finished');
    return { state: 'finished', progress };
  }
}

/** With what its kind makes before the first batch. */
async function begun(run: DataMigrationRun, work: Work, session: Session): Promise<Work> {
  const { begin: make } = work;
  if (make === undefined) return work;
  let made = work;
  await patiently(session, run, async () => {
    made = await inTransaction(session, () => make('real'));
  });
  return made;
}

export const placesOf = (
  run: Pick<Execution, 'id' | 'source' | 'written' | 'transforms'>,
  source: Session,
  written: Session,
  code: string | null,
): KindPlaces => ({
  id: run.id,
  source,
  written,
  sourceSchema: run.source.schema,
  writtenSchema: (run.written ?? run.source).schema,
  transforms: run.transforms,
  code,
});

/** The data migration, if it has begun. @throws AppError when it has ended, or is another one */
async function readKnown(
  session: Session,
  id: string,
  spec: DataMigrationSpec,
): Promise<DataMigrationRow | null> {
  const row = await readMigration(session, id);
  if (row === null) return null;
  if (row.control.state === 'cancelled') throw cancelled(id);
  if (fingerprintOf(row.spec as DataMigrationSpec) !== fingerprintOf(spec))
    throw new AppError(
      'DATA_MIGRATION_CHANGED',
      `What the data migration "${spec.name}" (${id}) is to do is not what it began with. Nothing more was done; the batches before stand. Resume with what it began with, or cancel it and begin a new one.`,
      { dataMigration: id, began: row.spec, now: spec },
    );
  return row;
}
