import { setTimeout as pause } from 'node:timers/promises';
import { sqlstateOf } from '../db/errors.ts';
import { qualify } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { RelationName } from '../sql/relations.ts';
import { placeOf } from '../sql/split.ts';
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
  readonly migration: string;
  readonly text: string;
  readonly segment: Segment;
  /** SQL that is sent before the segment's first statement, outside its transaction. */
  readonly before: string;
  /** SQL that is the last of the segment's transaction, or follows a segment that has none. */
  readonly after: string;
  /** Whether the file sets `lock_timeout` itself: then that holds. */
  readonly ownLockTimeout: boolean;
  readonly lockTimeoutMs: number;
  readonly lockBudgetMs: number;
  readonly relations: readonly RelationName[];
  readonly schema: string;
  readonly signal: AbortSignal;
  readonly onStep: (step: Step) => void;
  readonly onRetry: (retry: {
    readonly attempt: number;
    readonly error: AppError;
    readonly blockers: string;
  }) => void;
}

/** A statement that failed: which, and how PostgreSQL put it. `step` is null when COMMIT failed (deferred constraints). */
export class StepFailure extends Error {
  readonly step: Step | null;
  readonly error: AppError;

  constructor(step: Step | null, error: AppError) {
    super(error.message, { cause: error });
    this.name = 'StepFailure';
    this.step = step;
    this.error = error;
  }
}

const isUnreachable = (error: unknown): boolean =>
  error instanceof StepFailure && error.error.code === 'DATABASE_UNREACHABLE';

const retryable = new Set(['55P03', '40P01', '40001']);

/**
 * Runs a segment. Lock timeouts, deadlocks and serialisation failures roll it back whole and it is tried again, with
 * growing pauses, within the budget: between tries the queue behind its locks drains.
 * @throws StepFailure after which nothing of the segment is left, but for what a statement that runs alone leaves
 */
export async function runSegment(run: SegmentRun): Promise<SegmentOutcome> {
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      const locks = run.segment.runs === 'transaction' ? await runTransaction(run) : await runAlone(run);
      return { tries: attempt, locks };
    } catch (error) {
      if (!(error instanceof StepFailure)) throw error;
      const pauseMs = Math.min(5_000, 100 * 2 ** (attempt - 1)) * (0.5 + Math.random());
      const worthwhile = retryable.has(sqlstateOf(error.error) ?? '') && !run.signal.aborted;
      if (!worthwhile || performance.now() - startedAt + pauseMs > run.lockBudgetMs) throw error;
      run.onRetry({ attempt, error: error.error, blockers: await describeBlockers(run) });
      await pause(pauseMs, undefined, { signal: run.signal });
    }
  }
}

async function runTransaction(run: SegmentRun): Promise<readonly HeldLock[]> {
  const { session, segment } = run;
  const clock = new LockClock(run);
  let before = `${run.before} begin;`;
  try {
    for (const step of segment.steps) {
      run.signal.throwIfAborted();
      run.onStep(step);
      await sendStep(run, step, `${before} ${clock.setting(step)}`);
      clock.ran(step);
      before = '';
    }
    return await finishTransaction(run);
  } catch (error) {
    // Without a connection the server rolls back by itself.
    if (!isUnreachable(error)) await session.query('rollback');
    throw error;
  }
}

/**
 * `lock_timeout` counts for each lock anew. From the segment's first blocking lock on, each further statement gets
 * what is left, so that queries queued behind that first lock wait no longer than `lockTimeoutMs` for locks in all.
 */
class LockClock {
  readonly #run: SegmentRun;
  #since: number | null = null;

  constructor(run: SegmentRun) {
    this.#run = run;
  }

  setting(step: Step): string {
    if (this.#run.ownLockTimeout || !step.blocks) return '';
    const { lockTimeoutMs } = this.#run;
    // 0 would mean: wait for ever.
    const left =
      this.#since === null
        ? lockTimeoutMs
        : Math.max(1, Math.round(lockTimeoutMs - (performance.now() - this.#since)));
    return `set local lock_timeout = ${left};`;
  }

  ran(step: Step): void {
    if (step.blocks) this.#since ??= performance.now();
  }
}

async function finishTransaction(run: SegmentRun): Promise<readonly HeldLock[]> {
  try {
    // The file may have taken another role, which need not be allowed to write the history; LOCAL gives it back.
    const ownRole = 'set local session authorization default; set local role none;';
    const end = run.segment.rollsBack ? `rollback; ${run.after};` : `${ownRole} ${run.after}; commit;`;
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
  const timeout = run.ownLockTimeout ? '' : `set lock_timeout = ${step.blocks ? run.lockTimeoutMs : 0};`;
  if (`${run.before}${timeout}` !== '') await run.session.query(`${run.before} ${timeout}`);
  await sendStep(run, step, '');
  await run.session.query(`${timeout === '' ? '' : 'reset lock_timeout;'} ${run.after}`);
  return [];
}

async function sendStep(run: SegmentRun, step: Step, before: string): Promise<void> {
  const sql = run.text.slice(step.offset, step.offset + step.length);
  const prefix = before.trim() === '' ? '' : `${before} `;
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

/** Who holds locks on the migration's relations right now; for the retry's event and the final error. */
export async function describeBlockers(
  run: Pick<SegmentRun, 'session' | 'relations' | 'schema'>,
): Promise<string> {
  const { rows } = await run.session.query<{ blocker: string }>(
    `select pg_catalog.format('process %s (%s, role %s, %s for %s s) holds %s on %s', a.pid, coalesce(nullif(a.application_name, ''), 'no application_name'),
                   a.usename, a.state, round(extract(epoch from clock_timestamp() - a.xact_start)), l.mode, l.relation::regclass) as blocker
       from unnest($1::text[]) as named(relation)
       join pg_catalog.pg_locks l on l.relation = pg_catalog.to_regclass(named.relation) and l.granted and l.pid <> pg_catalog.pg_backend_pid()
       join pg_catalog.pg_stat_activity a on a.pid = l.pid
      order by a.xact_start limit 5`,
    [run.relations.map((relation) => qualify(relation.schema ?? run.schema, relation.name))],
  );
  return rows.map((row) => row.blocker).join('; ');
}
