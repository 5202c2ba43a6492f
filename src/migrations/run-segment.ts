import { sqlstateOf } from '../db/errors.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { placeOf } from '../sql/split.ts';
import { asOurselves, ownRole } from './history.ts';
import { type LockWaits, LockWatch } from './lock-watch.ts';
import { pauseUnlessAborted } from './locks.ts';
import type { Segment, Step } from './segments.ts';

/** A relation-level lock that a segment held when it was about to commit. */
export interface HeldLock {
  readonly relation: string;
  readonly mode: string;
}

export interface SegmentOutcome {
  readonly tries: number;
  readonly locks: readonly HeldLock[];
}

export interface SegmentRun {
  readonly session: Session;
  /** A session that has nothing else to do, to look at what the first one waits for. */
  readonly observer: Session;
  readonly migration: string;
  readonly text: string;
  readonly segment: Segment;
  /** SQL that is the last of the segment's transaction, or follows a segment that has none; empty for none. */
  readonly after: string;
  /** Whether the file sets `lock_timeout` itself: then that holds. */
  readonly ownLockTimeout: boolean;
  readonly lockTimeoutMs: number;
  readonly lockBudgetMs: number;
  readonly signal: AbortSignal;
  readonly onStep: (step: Step) => void;
  /** Before the segment is tried again; what the failed try left is to be removed here. */
  readonly onRetry: (failure: StepFailure, attempt: number) => Promise<void>;
}

/** A statement that failed: which, and how PostgreSQL put it. `step` is null when COMMIT failed (deferred constraints). */
export class StepFailure extends Error {
  readonly step: Step | null;
  readonly error: AppError;
  /** Who was in the way when the statement waited for locks; empty when nobody was seen. */
  readonly blockers: string;

  constructor(step: Step | null, error: AppError, blockers = '') {
    super(error.message, { cause: error });
    this.name = 'StepFailure';
    this.step = step;
    this.error = error;
    this.blockers = blockers;
  }
}

/** A statement that ran alone and took effect, but whose outcome could not be written. */
export class UnrecordedStep extends Error {
  readonly error: AppError;

  constructor(error: AppError) {
    super(error.message, { cause: error });
    this.name = 'UnrecordedStep';
    this.error = error;
  }
}

const retryable = new Set(['55P03', '40P01', '40001']);
const cancelled = '57014';

/**
 * Runs a segment. Lock timeouts, deadlocks and serialisation failures roll it back whole and it is tried again, with
 * growing pauses, within the budget: between tries the queue behind its locks drains.
 * @throws StepFailure after which nothing of the segment is left, but for what a statement that runs alone leaves
 * @throws UnrecordedStep
 */
export async function runSegment(run: SegmentRun): Promise<SegmentOutcome> {
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    run.signal.throwIfAborted();
    try {
      const locks = run.segment.runs === 'transaction' ? await runTransaction(run) : await runAlone(run);
      return { tries: attempt, locks };
    } catch (error) {
      if (!(error instanceof StepFailure)) throw error;
      const pauseMs = Math.min(5_000, 100 * 2 ** (attempt - 1)) * (0.5 + Math.random());
      const worthwhile = retryable.has(sqlstateOf(error.error) ?? '') && !run.signal.aborted;
      if (!worthwhile || performance.now() - startedAt + pauseMs > run.lockBudgetMs) throw error;
      await run.onRetry(error, attempt);
      await pauseUnlessAborted(pauseMs, run.signal);
    }
  }
}

async function runTransaction(run: SegmentRun): Promise<readonly HeldLock[]> {
  const { session, segment } = run;
  const allowance = new LockAllowance(run);
  let before = 'begin;';
  try {
    for (const step of segment.steps) {
      run.signal.throwIfAborted();
      run.onStep(step);
      await allowance.during(step, (left) =>
        sendStep(run, step, left === null ? before : `${before} set local lock_timeout = ${left};`),
      );
      before = '';
    }
    return await finishTransaction(run);
  } catch (error) {
    // Without a connection the server rolls back by itself.
    const lost = error instanceof StepFailure && error.error.code === 'DATABASE_UNREACHABLE';
    if (!lost) await session.query('rollback');
    throw error;
  }
}

/**
 * How long a segment may still wait for locks. `lock_timeout` counts for each lock anew; here waits add up from the
 * segment's first blocking statement on, so that queries queued behind its locks wait no longer than `lockTimeoutMs`
 * for what it waits for in turn.
 */
class LockAllowance {
  readonly #run: SegmentRun;
  readonly #watch: LockWatch;
  #counting = false;
  #waitedMs = 0;

  constructor(run: SegmentRun) {
    this.#run = run;
    this.#watch = new LockWatch(run.observer, run.session.pid);
  }

  /** Runs one statement; it is given the `lock_timeout` in milliseconds to set, or null for none. */
  async during(step: Step, send: (leftMs: number | null) => Promise<void>): Promise<void> {
    this.#counting ||= step.blocks;
    const limited = this.#counting && !this.#run.ownLockTimeout;
    // 0 would mean: wait for ever.
    const left = limited ? Math.max(1, Math.round(this.#run.lockTimeoutMs - this.#waitedMs)) : null;
    let waits: LockWaits | undefined;
    try {
      await this.#watch.during(
        left,
        () => send(left),
        (seen) => {
          waits = seen;
        },
      );
    } catch (error) {
      throw error instanceof StepFailure && waits !== undefined ? this.#explain(error, waits) : error;
    } finally {
      this.#waitedMs += waits?.waitedMs ?? 0;
    }
  }

  #explain({ step, error }: StepFailure, waits: LockWaits): StepFailure {
    if (!waits.cancelled || sqlstateOf(error) !== cancelled || this.#run.signal.aborted)
      return new StepFailure(step, error, waits.blockers);
    const message = `${error.message} It had waited for locks for ${this.#run.lockTimeoutMs} ms in all.`;
    return new StepFailure(
      step,
      new AppError('LOCK_TIMEOUT', message, { ...error.details, sqlstate: '55P03' }, { cause: error }),
      waits.blockers,
    );
  }
}

async function finishTransaction(run: SegmentRun): Promise<readonly HeldLock[]> {
  const end = run.segment.rollsBack
    ? `rollback; ${asOurselves(run.after)}`
    : `${ownRole}; ${run.after}; commit`;
  try {
    const outcomes = await run.session.script<HeldLock>(`${heldLocksSql}; ${end}`);
    return outcomes.find((outcome) => outcome.command === 'SELECT')?.rows ?? [];
  } catch (error) {
    throw new StepFailure(null, error as AppError);
  }
}

const heldLocksSql = `select l.relation::regclass::text as relation, l.mode
   from pg_catalog.pg_locks l
  where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and l.granted and l.relation >= 16384
    and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  order by 1, 2 limit 200`;

async function runAlone(run: SegmentRun): Promise<readonly HeldLock[]> {
  const [step] = run.segment.steps;
  if (step === undefined) return [];
  run.onStep(step);
  // A statement that runs alone and one before it in the same message would share an implicit transaction.
  if (!run.ownLockTimeout)
    await run.session.query(`set lock_timeout = ${step.blocks ? run.lockTimeoutMs : 0}`);
  await new LockAllowance(run).during(step, () => sendStep(run, step, ''));
  if (!run.ownLockTimeout) await run.session.query('reset lock_timeout');
  if (run.after !== '') await recordOutcome(run);
  return [];
}

/** The statement has taken effect: a cancellation that comes now is too late for it, and must not hide that. */
async function recordOutcome(run: SegmentRun): Promise<void> {
  const sql = asOurselves(run.after);
  try {
    await run.session.query(sql);
  } catch (error) {
    if (sqlstateOf(error) !== cancelled) throw new UnrecordedStep(error as AppError);
    await run.session.query(`rollback; ${sql}`);
  }
}

async function sendStep(run: SegmentRun, step: Step, before: string): Promise<void> {
  const sql = run.text.slice(step.offset, step.offset + step.length);
  const prefix = before === '' ? '' : `${before} `;
  try {
    await run.session.query(prefix + sql);
  } catch (error) {
    throw new StepFailure(step, locate(run, step, prefix.length, error as AppError));
  }
}

/** PostgreSQL's position counts in the text that was sent; people want it in the file. */
function locate(run: SegmentRun, step: Step, prefix: number, error: AppError): AppError {
  const { position } = error.details;
  const offset =
    step.offset +
    (typeof position === 'number' && position > prefix
      ? characters(run.text, step.offset, position - prefix - 1)
      : 0);
  const place = placeOf(run.text, offset);
  const reason = typeof error.details.reason === 'string' ? error.details.reason : error.message;
  const hint = typeof error.details.hint === 'string' ? ` Hint: ${error.details.hint}.` : '';
  return new AppError(
    error.code,
    `${run.migration}, line ${place.line}, column ${place.column}: ${reason}${sqlstateOf(error) === undefined ? '' : ` (SQLSTATE ${sqlstateOf(error)})`}.${hint} The statement: ${step.summary}`,
    { ...error.details, migration: run.migration, statement: step.statement, ...place },
    { cause: error },
  );
}

/** PostgreSQL counts code points, JavaScript UTF-16 units. */
function characters(text: string, from: number, codePoints: number): number {
  let index = from;
  for (let count = 0; count < codePoints && index < text.length; count += 1)
    index += (text.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
  return index - from;
}
