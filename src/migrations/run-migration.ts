import { v4 as newId } from 'uuid';
import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { isLost, leavesToSuccessor, recordFailure } from './failure.ts';
import { appliedSql, finishSql, type HistoryEntry, startedSql } from './history.ts';
import { ensureJournal, forgetSql, outcomeSql, writeIntent } from './journal.ts';
import { dropLeftovers, indexesBefore } from './leftovers.ts';
import type { PlannedMigration } from './plan.ts';
import { settleAttempt } from './resume.ts';
import { type HeldLock, runSegment, StepFailure } from './run-segment.ts';
import { isEffective, type Segment, type Step, splitBefore, takeOut } from './segments.ts';

/** What one migration did. */
export interface MigrationOutcome {
  readonly name: string;
  readonly durationMs: number;
  readonly segments: number;
  readonly tries: number;
  readonly locks: readonly HeldLock[];
  readonly notices: readonly string[];
  /** How the run differed from the plan: splits, retries, what a predecessor had done. */
  readonly remarks: readonly string[];
}

export interface MigrationRun {
  readonly session: Session;
  readonly schema: string;
  readonly jobId: string;
  readonly migration: PlannedMigration;
  readonly text: string;
  readonly lockTimeoutMs: number;
  readonly lockBudgetMs: number;
  readonly signal: AbortSignal;
  readonly onStep: (step: Step) => void;
  readonly onRemark: (remark: string) => void;
  /** Prisma's lock is let go of while the work waits for snapshots, and taken again after. */
  readonly withoutPrismaLock: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Applies one migration. @throws AppError; its message says what is left and what is not */
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
  readonly #entry: HistoryEntry;
  readonly #startedAt = performance.now();
  readonly #notices: string[] = [];
  readonly #remarks: string[] = [];
  readonly #locks: HeldLock[] = [];
  #queue: Segment[];
  /** Whether the history has an unfinished row of this attempt. */
  #opened: boolean;
  /** Segments of which something is left in the database. */
  #done: readonly Segment[] = [];
  #tries = 1;

  constructor(run: MigrationRun) {
    this.#run = run;
    const { name, checksum, resumes, segments } = run.migration;
    this.#entry = { id: resumes ?? newId(), name, checksum };
    this.#opened = resumes !== null;
    this.#queue = [...segments];
  }

  async run(): Promise<MigrationOutcome> {
    const { session, migration, schema } = this.#run;
    await session.query(this.#freshSettings());
    if (migration.resumes !== null) await this.#resume();
    else if (migration.journalled) await this.#open();
    for (let segment = this.#queue.shift(); segment !== undefined; segment = this.#queue.shift())
      await this.#one(segment);
    if (this.#opened)
      await this.#write(`begin; ${forgetSql(this.#entry.id)}; ${finishSql(schema, this.#entry.id)}; commit`);
    // A file without any statement is applied, too.
    else if (this.#done.length === 0) await this.#write(appliedSql(schema, this.#entry));
    return {
      name: migration.name,
      durationMs: Math.round(performance.now() - this.#startedAt),
      segments: this.#done.length,
      tries: this.#tries,
      locks: this.#locks,
      notices: this.#notices,
      remarks: this.#remarks,
    };
  }

  noticed(notice: string): void {
    if (this.#notices.length < 100) this.#notices.push(notice);
  }

  /** What an earlier file set for its session ends here. DISCARD ALL would do it, and drop our locks. */
  #freshSettings(): string {
    const { session, schema } = this.#run;
    return (
      'reset session authorization; reset role; reset all; deallocate all; discard temp; ' +
      `set search_path = ${quoteIdentifier(schema)}; ${session.ownSettings}`
    );
  }

  async #open(): Promise<void> {
    const { session, schema } = this.#run;
    await ensureJournal(session);
    await session.query(startedSql(schema, this.#entry));
    this.#opened = true;
  }

  async #one(segment: Segment): Promise<void> {
    try {
      await (isEffective(segment) ? this.#effective(segment) : this.#send(segment, ''));
    } catch (error) {
      if (error instanceof StepFailure && (await this.#split(segment, error))) return;
      throw await recordFailure(
        {
          ...this.#run,
          entry: this.#entry,
          opened: this.#opened,
          done: this.#done,
          left: [segment, ...this.#queue],
        },
        error,
      );
    }
  }

  async #effective(segment: Segment): Promise<void> {
    const { session, schema, jobId } = this.#run;
    const [first] = segment.steps;
    const last = segment.steps.at(-1);
    if (first === undefined || last === undefined) return;
    if (!this.#opened) {
      await this.#send(segment, appliedSql(schema, this.#entry));
    } else {
      const indexes = await this.#asOurselves(() => indexesBefore(session, this.#textOf(first)));
      await this.#asOurselves(() =>
        writeIntent(session, this.#entry.id, {
          firstStatement: first.statement,
          lastStatement: last.statement,
          runsAlone: segment.runs === 'alone',
          indexes,
          jobId,
        }),
      );
      await this.#sendWatched(segment, first, indexes);
    }
    this.#done = [...this.#done, segment];
  }

  async #sendWatched(segment: Segment, first: Step, indexes: readonly number[]): Promise<void> {
    const send = (): Promise<void> => this.#send(segment, outcomeSql(this.#entry.id, first.statement));
    try {
      await (first.waitsForSnapshots ? this.#run.withoutPrismaLock(send) : send());
    } catch (error) {
      if (segment.runs === 'alone' && !isLost(error) && !leavesToSuccessor(this.#run.signal)) {
        const dropped = await dropLeftovers(this.#run.session, this.#textOf(first), indexes);
        if (dropped.length > 0)
          this.#remark(`dropped the invalid index ${dropped.join(', ')} that the failed statement left`);
      }
      throw error;
    }
  }

  async #send(segment: Segment, after: string): Promise<void> {
    const { migration, ...run } = this.#run;
    const outcome = await runSegment({
      ...run,
      migration: migration.name,
      relations: migration.relations,
      segment,
      before: '',
      after,
      ownLockTimeout: migration.segments.some((one) =>
        one.steps.some((step) => /^set\s+(session\s+|local\s+)?lock_timeout\b/i.test(this.#textOf(step))),
      ),
      onRetry: ({ attempt, error, blockers }) => {
        this.#tries += 1;
        this.#remark(
          `try ${attempt} rolled back (${error.code}, SQLSTATE ${sqlstateOf(error)})${blockers === '' ? '' : `: ${blockers}`}`,
        );
      },
    });
    this.#locks.push(...outcome.locks);
  }

  /** Where only execution shows that a statement needs a transaction of its own; returns whether it was split. */
  async #split(segment: Segment, failure: StepFailure): Promise<boolean> {
    const sqlstate = sqlstateOf(failure.error) ?? '';
    const index = failure.step === null ? -1 : segment.steps.indexOf(failure.step);
    if (segment.runs === 'alone' || segment.explicit || index === -1) return false;
    if (!alone.has(sqlstate) && !(afterCommit.has(sqlstate) && index > 0)) return false;
    this.#queue.unshift(...(alone.has(sqlstate) ? takeOut(segment, index) : splitBefore(segment, index)));
    this.#remark(
      `split before line ${failure.step?.line}, which PostgreSQL refuses in one transaction with what precedes it (SQLSTATE ${sqlstate})`,
    );
    if (!this.#opened) await this.#open();
    return true;
  }

  /** Goes on where a process that is gone has stopped. */
  async #resume(): Promise<void> {
    const { done, rest } = await settleAttempt(this.#run, this.#entry.id, this.#queue);
    this.#done = done;
    this.#queue = rest;
    this.#remark(`resumed: ${done.length} segment(s) were done by the interrupted attempt`);
  }

  async #write(sql: string): Promise<void> {
    await this.#asOurselves(() => this.#run.session.query(sql));
  }

  /** Our own tables are written as the role of the connection, whichever role the file has taken. */
  async #asOurselves<T>(work: () => Promise<T>): Promise<T> {
    const { session, migration } = this.#run;
    const takesRole = migration.segments.some((segment) =>
      segment.steps.some(
        (step) => step.setting && /^set\s+(session\s+)?(role|authorization)\b/i.test(this.#textOf(step)),
      ),
    );
    if (!takesRole) return work();
    const { rows } = await session.query<{ role: string }>(
      "select pg_catalog.current_setting('role') as role",
    );
    await session.query('reset role');
    try {
      return await work();
    } finally {
      await session.query("select pg_catalog.set_config('role', $1, false)", [rows[0]?.role ?? 'none']);
    }
  }

  #textOf(step: Step): string {
    return this.#run.text.slice(step.offset, step.offset + step.length);
  }

  #remark(remark: string): void {
    this.#remarks.push(remark);
    this.#run.onRemark(remark);
  }
}
