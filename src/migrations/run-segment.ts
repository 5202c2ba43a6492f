import { sqlstateOf } from '../db/errors.ts';
import { AppError } from '../errors.ts';
import { vaultSchema } from '../vault/schema.ts';
import { chunksOf } from './chunks.ts';
import { asOurselves, ownRole } from './history.ts';
import { LockAllowance } from './lock-allowance.ts';
import { pauseUnlessAborted } from './locks.ts';
import { locate, Message } from './message.ts';
import type { Around, HeldLock, SegmentOutcome, SegmentRun } from './segment-run.ts';
import type { Segment, Step } from './segments.ts';
import { StepFailure, UnrecordedStep } from './step-failure.ts';
import type { WriteWatch } from './write-watch.ts';

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
      if (run.givesUp(error)) continue;
      const pauseMs = Math.min(5_000, 100 * 2 ** (attempt - 1)) * (0.5 + Math.random());
      const worthwhile =
        retryable.has(sqlstateOf(error.error) ?? '') && !run.signal.aborted && !mayHaveCommitted(run.segment);
      if (!worthwhile || performance.now() - startedAt + pauseMs > run.lockBudgetMs) throw error;
      await run.onRetry(error, attempt);
      await pauseUnlessAborted(pauseMs, run.signal);
    }
  }
}

const mayHaveCommitted = ({ runs, steps }: Segment): boolean =>
  runs === 'alone' && steps.some((step) => step.commitsItself);

async function runTransaction(run: SegmentRun): Promise<readonly HeldLock[]> {
  const { session, segment } = run;
  const allowance = new LockAllowance(run);
  const watch = run.watch();
  const ends: (() => Promise<void>)[] = [];
  let locks: readonly HeldLock[] = [];
  try {
    // In a message of their own: in one with BEGIN they would be part of the transaction, and fix its properties.
    if (run.before.length > 0) await session.query(run.before.join('; '));
    await watch?.begin();
    const chunks = messagesOf(run, watch);
    for (const [index, steps] of chunks.entries()) {
      run.signal.throwIfAborted();
      const message = new Message();
      if (index === 0) message.add(segment.begin);
      const [first, ...more] = steps;
      const work = first === undefined ? null : run.apart(first, more);
      if (first !== undefined && work !== null) {
        ends.push(await runApart(run, [first, ...more], { work, watch }, message, allowance));
        continue;
      }
      for (const step of steps) run.onStep(step);
      const isLast = index === chunks.length - 1;
      if (isLast && watch !== null) ends.push(await concludeWatch(run, watch, allowance));
      if (isLast) for (const end of ends) await during(run, null, allowance, end);
      limit(message, allowance, steps);
      if (watch?.isDueBefore(steps)) {
        if (message.sql !== '') await send(run, message, allowance);
        message.clear();
        await watch.look(new Set());
        await watch.skip();
      }
      for (const step of steps) message.add(textOf(run, step), step);
      if (isLast) for (const command of endOf(run)) message.add(command);
      locks = await send(run, message, allowance);
      watch?.ran(steps);
    }
    return locks;
  } catch (error) {
    // Without a connection the server rolls back by itself.
    const lost = error instanceof StepFailure && error.error.code === 'DATABASE_UNREACHABLE';
    if (!lost) await session.query('rollback');
    throw error;
  }
}

function messagesOf(run: SegmentRun, watch: WriteWatch | null): Step[][] {
  const { steps } = run.segment;
  const chunks = chunksOf(steps, (step) => isApart(run, step), run.areOne).flatMap(
    (chunk) => watch?.cut(chunk) ?? [chunk],
  );
  // A worker that is killed must not have its long statement committed behind its back: COMMIT follows in a message of
  // its own. So it does where something is to be done just before it.
  const before = watch !== null || steps.some((step) => isApart(run, step));
  return before || chunks.at(-1)?.some((step) => !step.brief) ? [...chunks, []] : chunks;
}

const isApart = (run: SegmentRun, step: Step): boolean => run.apart(step) !== null;

function limit(message: Message, allowance: LockAllowance, steps: readonly Pick<Step, 'blocks'>[]): void {
  const left = allowance.leftFor(steps);
  if (left !== null) message.add(`set local lock_timeout = ${left}`);
}

/** What is done around a step takes locks of its own, whatever the step itself takes. */
const blocking = [{ blocks: true }];

/** As the last of a transaction. @throws StepFailure when something was written that is not kept */
async function concludeWatch(
  run: SegmentRun,
  watch: WriteWatch,
  allowance: LockAllowance,
): Promise<() => Promise<void>> {
  await watch.look(new Set());
  const fired = await during(run, null, allowance, () => watch.fireDeferred());
  const step = watch.missed[0]?.steps[0] ?? run.segment.steps.at(-1) ?? null;
  await during(run, step, allowance, () => watch.demandNothingMissed());
  return async () => fired?.atEnd();
}

/**
 * Runs steps with what is done around all of them.
 * @param message what is to be sent before
 * @returns what is to be done before COMMIT
 */
async function runApart(
  run: SegmentRun,
  steps: readonly [Step, ...Step[]],
  { work, watch }: { readonly work: () => Promise<Around>; readonly watch: WriteWatch | null },
  message: Message,
  allowance: LockAllowance,
): Promise<() => Promise<void>> {
  const [step] = steps;
  run.onStep(step);
  limit(message, allowance, blocking);
  if (message.sql !== '') await send(run, message, allowance);
  await watch?.look(new Set());
  const around = await during(run, step, allowance, work);
  // What keeping has written is not the step's, nor is what event triggers have done since the step before.
  await watch?.skip();
  for (const part of around.replaces ? [] : chunksOf(steps)) {
    for (const one of part) if (one !== step) run.onStep(one);
    const own = new Message();
    limit(own, allowance, blocking);
    for (const one of part) own.add(textOf(run, one), one);
    await send(run, own, allowance);
  }
  watch?.ran(steps);
  if (around.keeps !== null) await watch?.look(around.keeps);
  await during(run, step, allowance, () => around.after());
  return () => around.atEnd();
}

/** Our own work for a step: its waits count as the step's, and so do its errors. @throws StepFailure */
async function during<T>(
  run: SegmentRun,
  step: Step | null,
  allowance: LockAllowance,
  work: () => Promise<T>,
): Promise<T> {
  const waits = allowance.watch(blocking);
  try {
    return await waits.during(work);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const failure = waits.explain(error, run.signal);
    throw step === null
      ? new StepFailure(null, atTheEnd(failure, run), waits.blockers)
      : new StepFailure(step, locate(failure, run, step, step.offset), waits.blockers);
  }
}

/** The last commands of a segment's transaction. */
const endOf = (run: SegmentRun): string[] =>
  run.segment.rollsBack
    ? ['rollback', asOurselves(run.after)]
    : [...heldLocks(run), ownRole, run.after, 'commit'];

/** Only what blocks others is worth a look. */
const heldLocks = (run: SegmentRun): string[] =>
  run.segment.steps.some((step) => step.blocks || isApart(run, step)) ? [heldLocksSql] : [];

const heldLocksSql = `select l.relation::regclass::text as relation, l.mode
   from pg_catalog.pg_locks l
  where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and l.granted and l.relation >= 16384
    and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  order by 1, 2 limit 200`;

async function runAlone(run: SegmentRun): Promise<readonly HeldLock[]> {
  const [step] = run.segment.steps;
  if (step === undefined) return [];
  // A statement that runs alone and one before it in the same message would share an implicit transaction.
  // What may commit parts of its work by itself is not to fail for a lock: it could not be tried again.
  const limited = step.blocks && !step.commitsItself;
  const timeout = run.ownLockTimeout ? [] : [`set lock_timeout = ${limited ? run.lockTimeoutMs : 0}`];
  const before = [...run.before, ...timeout].join('; ');
  if (before !== '') await run.session.query(before);
  const message = new Message();
  message.add(textOf(run, step), step);
  run.onStep(step);
  await send(run, message, new LockAllowance(run));
  if (!run.ownLockTimeout) await run.session.query('reset lock_timeout');
  if (run.after !== '') await recordOutcome(run);
  return [];
}

const textOf = (run: SegmentRun, step: Step): string =>
  run.text.slice(step.offset, step.offset + step.length);

/** @throws StepFailure */
async function send(
  run: SegmentRun,
  message: Message,
  allowance: LockAllowance,
): Promise<readonly HeldLock[]> {
  const waits = allowance.watch(message.steps);
  // The server tells of completed commands late, with the end or the error; but then of each.
  let completed = 0;
  try {
    const outcomes = await waits.during(() =>
      run.session.script<HeldLock>(message.sql, () => {
        completed += 1;
      }),
    );
    // Nothing but our own commands follows the query for locks; a SELECT of the file has other columns.
    const held = outcomes.findLast((outcome) => outcome.command === 'SELECT')?.rows ?? [];
    return held.filter(
      ({ relation, mode }) =>
        relation !== undefined && mode !== undefined && !relation.startsWith(`${vaultSchema}.`),
    );
  } catch (error) {
    const step = message.stepAt(completed);
    const failure = waits.explain(error as AppError, run.signal);
    throw step === null
      ? new StepFailure(null, atTheEnd(failure, run), waits.blockers)
      : new StepFailure(
          step,
          locate(failure, run, step, message.offsetOf(completed, failure)),
          waits.blockers,
        );
  }
}

/** Deferred constraints are checked by COMMIT: there is no statement to name. */
const atTheEnd = (error: AppError, { migration }: SegmentRun): AppError =>
  new AppError(
    error.code,
    `${migration}, at the end of its transaction: ${typeof error.details.reason === 'string' ? error.details.reason : error.message}`,
    { ...error.details, migration },
    { cause: error },
  );

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
