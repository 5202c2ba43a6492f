import { sqlstateOf } from '../db/errors.ts';
import { AppError } from '../errors.ts';
import { isLost, leavesToSuccessor, recordFailure } from './failure.ts';
import { freshSettings } from './fresh-settings.ts';
import { asOurselves } from './history.ts';
import { ensureJournal, outcomeSql } from './journal.ts';
import { Keeper } from './keeper.ts';
import { dropLeftovers, indexesBefore } from './leftovers.ts';
import type { MigrationOutcome, MigrationRun } from './migration-run.ts';
import { settleAttempt } from './resume.ts';
import { runSegment } from './run-segment.ts';
import type { Around, HeldLock } from './segment-run.ts';
import { isEffective, type Segment, type Step, splitBefore, takeOut } from './segments.ts';
import { StepFailure, UnrecordedStep } from './step-failure.ts';

/** Applies one migration, or takes it back. @throws AppError; its message says what is left and what is not */
export async function runMigration(run: MigrationRun): Promise<MigrationOutcome> {
  const runner = new Runner(run);
  const silence = run.session.onNotice((notice) => runner.noticed(`${notice.severity}: ${notice.message}`));
  try {
    return await runner.run();
  } finally {
    silence();
  }
}

/** A statement that PostgreSQL refuses in a transaction, told only by trying: 25001 and 2D000 run alone, the rest after a commit. */
const alone = new Set(['25001', '2D000']);
const afterCommit = new Set(['55006', '55P04']);

class Runner {
  readonly #run: MigrationRun;
  readonly #keeper: Keeper;
  readonly #startedAt = performance.now();
  readonly #notices: string[] = [];
  readonly #remarks: string[] = [];
  readonly #locks: HeldLock[] = [];
  #queue: Segment[];
  /** What is still to be set before the next segment. */
  #fresh: readonly string[];
  #journalled: boolean;
  /** Whether the history has an unfinished row of this attempt. */
  #opened: boolean;
  /** Segments of which something is left in the database. */
  #done: readonly Segment[] = [];
  #leftovers: readonly string[] = [];
  #tries = 1;

  constructor(run: MigrationRun) {
    this.#run = run;
    const { resumes, segments } = run.migration;
    this.#keeper = new Keeper({
      ...run,
      direction: run.ledger.direction,
      remark: (remark) => this.#remark(remark),
    });
    this.#opened = resumes !== null;
    this.#journalled = run.migration.journalled || this.#opened;
    this.#queue = [...segments];
    this.#fresh = run.fresh ? [] : freshSettings(run.session, run.schema);
  }

  async run(): Promise<MigrationOutcome> {
    const { session, migration, ledger } = this.#run;
    const [first] = this.#queue;
    if (migration.resumes !== null || first === undefined || first.rollsBack) await this.#freshen();
    if (migration.resumes !== null) await this.#resume();
    for (let segment = this.#queue.shift(); segment !== undefined; segment = this.#queue.shift())
      await this.#one(segment);
    if (this.#opened) await session.query(asOurselves(...ledger.ended()));
    // A file without any statement is applied, too.
    else if (this.#done.length === 0) await session.query(asOurselves(ledger.done()));
    return {
      name: migration.name,
      durationMs: Math.round(performance.now() - this.#startedAt),
      segments: this.#done.length,
      tries: this.#tries,
      locks: this.#locks,
      notices: this.#notices,
      remarks: this.#remarks,
      kept: await this.#keeper.kept(migration.resumes !== null),
      restored: [],
      unkept: this.#keeper.unkept,
    };
  }

  noticed(notice: string): void {
    if (this.#notices.length < 100) this.#notices.push(notice);
  }

  async #freshen(): Promise<void> {
    if (this.#fresh.length > 0) await this.#run.session.query(this.#fresh.join('; '));
    this.#fresh = [];
  }

  async #one(segment: Segment): Promise<void> {
    try {
      await (isEffective(segment) ? this.#effective(segment) : this.#send(segment, ''));
    } catch (error) {
      if (error instanceof StepFailure && this.#split(segment, error)) return;
      // A cancellation that is still under way would hit what is written now.
      await this.#run.cancelSettled();
      throw await recordFailure(
        {
          ...this.#run,
          opened: this.#opened,
          done: this.#done,
          left: [segment, ...this.#queue],
          leftovers: this.#leftovers,
        },
        error,
      );
    }
  }

  async #effective(segment: Segment): Promise<void> {
    const [first] = segment.steps;
    const last = segment.steps.at(-1);
    if (first === undefined || last === undefined) return;
    if (!this.#journalled) {
      await this.#send(segment, this.#run.ledger.done());
      this.#done = [segment];
      return;
    }
    const indexes = await this.#intend(segment, first, last);
    if (first.waitsForSnapshots) await this.#run.releasePrismaLock();
    await this.#sendJournalled(segment, first, indexes);
    // Of a block that the file itself rolls back nothing is left.
    if (!segment.rollsBack) this.#done = [...this.#done, segment];
    if (first.waitsForSnapshots) await this.#takePrismaLock();
  }

  /** Writes down what is about to be done, before the first time together with the unfinished history row. */
  async #intend(segment: Segment, first: Step, last: Step): Promise<readonly number[]> {
    const { session, ledger, jobId } = this.#run;
    const indexes = await indexesBefore(session, this.#textOf(first));
    const intent = {
      firstStatement: first.statement,
      lastStatement: last.statement,
      runsAlone: segment.runs === 'alone',
      indexes,
      jobId,
    };
    if (!this.#opened) await ensureJournal(session);
    await session.query(asOurselves(...(this.#opened ? [ledger.intent(intent)] : ledger.begun(intent))));
    this.#opened = true;
    return indexes;
  }

  async #sendJournalled(segment: Segment, first: Step, indexes: readonly number[]): Promise<void> {
    const clean = (): Promise<void> => this.#dropLeftovers(segment, first, indexes);
    try {
      await this.#send(segment, outcomeSql(this.#run.ledger.entry.id, first.statement), clean);
    } catch (error) {
      if (error instanceof StepFailure && !isLost(error) && !leavesToSuccessor(this.#run.signal)) {
        await this.#run.cancelSettled();
        await clean();
      }
      throw error;
    }
  }

  async #send(segment: Segment, after: string, clean: () => Promise<void> = async () => {}): Promise<void> {
    const { migration, ...run } = this.#run;
    // Of a block that the file itself rolls back nothing is to be kept.
    const apart = (step: Step, more: readonly Step[] = []): (() => Promise<Around>) | null =>
      this.#instead(step) ?? (segment.rollsBack ? null : this.#keeper.apart(step, more));
    if (segment.runs === 'alone') for (const step of segment.steps) this.#keeper.refuseAlone(step);
    const outcome = await runSegment({
      ...run,
      migration: migration.name,
      segment,
      before: this.#fresh,
      after,
      ownLockTimeout: migration.setsLockTimeout,
      apart,
      areOne: (before, step) => !segment.rollsBack && this.#keeper.areOne(before, step),
      watch: () => this.#keeper.watch(segment),
      givesUp: (failure) => this.#keeper.givesUp(failure),
      onRetry: async ({ error, blockers }, attempt) => {
        this.#tries += 1;
        this.#remark(
          `try ${attempt} rolled back (${error.code}, SQLSTATE ${sqlstateOf(error)})${blockers === '' ? '' : `; in the way: ${blockers}`}`,
        );
        await clean();
      },
    });
    this.#fresh = [];
    this.#locks.push(...outcome.locks);
  }

  #instead(step: Step): (() => Promise<Around>) | null {
    const act = this.#run.instead(step);
    return act === null ? null : () => act().then(() => carriedOut);
  }

  /** An index that cannot be dropped, because somebody uses its table, must not keep a cancellation waiting for ever. */
  async #dropLeftovers(segment: Segment, first: Step, indexes: readonly number[]): Promise<void> {
    if (segment.runs !== 'alone') return;
    const { session, lockBudgetMs } = this.#run;
    const { dropped, left } = await dropLeftovers(session, this.#textOf(first), indexes, lockBudgetMs);
    this.#leftovers = left;
    if (dropped.length > 0)
      this.#remark(`dropped the invalid index ${dropped.join(', ')} that the failed statement left`);
  }

  /**
   * The statement has taken effect and stands in the journal: when the lock cannot be had again, the attempt is left as
   * it is, for the next one to go on from there.
   */
  async #takePrismaLock(): Promise<void> {
    try {
      await this.#run.takePrismaLock();
    } catch (error) {
      throw error instanceof AppError ? new UnrecordedStep(error) : error;
    }
  }

  /** Where only execution shows that a statement needs a transaction of its own; returns whether it was split. */
  #split(segment: Segment, failure: StepFailure): boolean {
    const sqlstate = sqlstateOf(failure.error) ?? '';
    const index = failure.step === null ? -1 : segment.steps.indexOf(failure.step);
    if (segment.runs === 'alone' || segment.explicit || index === -1) return false;
    if (!alone.has(sqlstate) && !(afterCommit.has(sqlstate) && index > 0)) return false;
    this.#queue.unshift(...(alone.has(sqlstate) ? takeOut(segment, index) : splitBefore(segment, index)));
    this.#remark(
      `split before line ${failure.step?.line}, which PostgreSQL refuses in one transaction with what precedes it (SQLSTATE ${sqlstate})`,
    );
    this.#journalled = true;
    return true;
  }

  /** Goes on where a process that is gone has stopped. */
  async #resume(): Promise<void> {
    const { done, rest } = await settleAttempt(this.#run, this.#queue);
    this.#done = done;
    this.#queue = rest;
    this.#remark(`resumed: ${done.length} segment(s) were done by the interrupted attempt`);
  }

  #textOf(step: Step): string {
    return this.#run.text.slice(step.offset, step.offset + step.length);
  }

  #remark(remark: string): void {
    this.#remarks.push(remark);
    this.#run.onRemark(remark);
  }
}

const nothing = async (): Promise<void> => {};
const carriedOut: Around = { replaces: true, keeps: null, after: nothing, atEnd: nothing };
