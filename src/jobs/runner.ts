/** The only place where a queue entry, a job's row and the domain meet. */
import { setTimeout as pause } from 'node:timers/promises';
import { raiseAlerts } from '../alerts/raise.ts';
import {
  type Attempt,
  appendEvent,
  claimJob,
  finishJob,
  heartbeat,
  type Job,
  requeueJob,
} from '../db/control/job-rows.ts';
import { AppError, type ErrorRecord, isRetryable, toAppError } from '../errors.ts';
import type { JobContext, JobKind } from './define-job.ts';
import type { JobDependencies } from './dependencies.ts';
import { JobEvents } from './job-events.ts';
import type { QueueEntry } from './queue.ts';

export interface RunnerOptions {
  readonly worker: string;
  readonly heartbeatMs: number;
  /** A job whose heartbeat is older than this is taken over. */
  readonly staleMs: number;
}

/** A job that this process runs. */
export interface RunningAttempt {
  abort(reason: AppError): void;
}

/** How an attempt ended, decided from what `run` returned or threw. */
type Outcome =
  | { readonly state: 'succeeded'; readonly result: unknown }
  | { readonly state: 'failed' | 'cancelled'; readonly error: AppError }
  | { readonly state: 'queued'; readonly error: AppError; readonly delayMs: number }
  | { readonly state: 'superseded' };

/**
 * Runs the attempt that a queue entry stands for. An entry that is delivered twice, or late, finds its attempt claimed
 * and does nothing. Only what happens before the claim can throw: the row is then still queued, and repaired.
 */
export async function runEntry(
  deps: JobDependencies,
  kinds: readonly JobKind[],
  entry: QueueEntry,
  options: RunnerOptions,
  running: Map<string, RunningAttempt>,
): Promise<void> {
  const job = await claimJob(deps.control.prisma, entry, options.worker);
  if (job === null) return;
  const controller = new AbortController();
  const log = deps.log.child({ job: job.id, kind: job.kind, attempt: job.attempt });
  running.set(job.id, { abort: (reason) => controller.abort(reason) });
  const pulse = startPulse(deps, entry, options, controller);
  const events = new JobEvents(deps.control.prisma, entry, log, () => controller.abort(superseded()));
  try {
    const kind = kinds.find((one) => one.name === job.kind);
    const outcome = await attempt({ deps, job, kind, events, controller, log });
    await events.flush();
    await settle(deps, job, outcome, options);
  } catch (error) {
    // The outcome could not be written: the heartbeat ends, and another worker takes the job over.
    log.error({ err: error }, 'the outcome of a job could not be written');
  } finally {
    pulse.stop();
    running.delete(job.id);
  }
}

interface AttemptInput {
  readonly deps: JobDependencies;
  readonly job: Job;
  readonly kind: JobKind | undefined;
  readonly events: JobEvents;
  readonly controller: AbortController;
  readonly log: JobContext<unknown>['log'];
}

async function attempt({ deps, job, kind, events, controller, log }: AttemptInput): Promise<Outcome> {
  const { signal } = controller;
  try {
    if (kind === undefined)
      throw new AppError('INTERNAL', `This worker does not know jobs of kind "${job.kind}".`);
    const payload = kind.payload.parse(job.payload);
    events.started(kind.steps, job.attempt);
    const { id, database, requestedBy } = job;
    const running = { id, kind: job.kind, database, attempt: job.attempt, requestedBy };
    const result = await kind.run({
      job: running,
      payload,
      signal,
      log,
      deps,
      step: events.step,
      note: events.note,
    });
    return { state: 'succeeded', result };
  } catch (thrown) {
    const outcome = outcomeOf(thrown, signal, kind, job.attempt);
    if ('error' in outcome)
      log[outcome.state === 'failed' ? 'error' : 'warn'](
        { err: outcome.error.code === 'INTERNAL' ? thrown : withoutCause(outcome.error) },
        outcome.error.message,
      );
    return outcome;
  }
}

/** What an abort cannot undo is told as the failure that it is. */
const tellsMore = new Set(['MIGRATION_HALF_APPLIED', 'STEP_UNKNOWN']);

function outcomeOf(
  thrown: unknown,
  signal: AbortSignal,
  kind: JobKind | undefined,
  attemptNumber: number,
): Outcome {
  const reason = signal.aborted && signal.reason instanceof AppError ? signal.reason : null;
  const error =
    reason !== null && !(thrown instanceof AppError && tellsMore.has(thrown.code))
      ? reason
      : toAppError(thrown);
  if (error.code === 'JOB_SUPERSEDED') return { state: 'superseded' };
  if (error.code === 'JOB_INTERRUPTED' && kind?.whenInterrupted === 'resume')
    return { state: 'queued', error, delayMs: 0 };
  if (error.code === 'JOB_CANCELLED')
    return {
      state: 'cancelled',
      error: thrown instanceof AppError && thrown.code === error.code ? thrown : error,
    };
  if (isRetryable(error.code) && kind !== undefined && attemptNumber < kind.attempts)
    return { state: 'queued', error, delayMs: kind.backoffMs(attemptNumber) };
  return { state: 'failed', error };
}

/** Writes the outcome, its last event and its alerts in one transaction; only then the queue's entry is acknowledged. */
async function settle(
  deps: JobDependencies,
  job: Job,
  outcome: Outcome,
  { staleMs }: RunnerOptions,
): Promise<void> {
  if (outcome.state === 'superseded') return;
  const written = { jobId: job.id, attempt: job.attempt };
  const deliveries = await persist(staleMs, () =>
    outcome.state === 'queued' ? requeue(deps, written, outcome) : finish(deps, job, outcome),
  );
  if (outcome.state === 'queued')
    await addQuietly(
      deps,
      job.queue === 'signals' ? 'signals' : 'operations',
      { jobId: job.id, attempt: job.attempt + 1 },
      outcome.delayMs,
    );
  for (const jobId of deliveries) await addQuietly(deps, 'signals', { jobId, attempt: 1 }, 0);
}

function requeue(
  deps: JobDependencies,
  attemptOf: Attempt,
  { error, delayMs }: { error: AppError; delayMs: number },
): Promise<string[]> {
  return deps.control.prisma.$transaction(async (transaction) => {
    if (await requeueJob(transaction, attemptOf, new Date(Date.now() + delayMs)))
      await appendEvent(transaction, attemptOf, {
        type: 'requeued',
        body: { error: error.toRecord(), delayMs: Math.round(delayMs) },
      });
    return [];
  });
}

function finish(
  deps: JobDependencies,
  job: Job,
  outcome: Extract<Outcome, { state: 'succeeded' | 'failed' | 'cancelled' }>,
): Promise<string[]> {
  const error: ErrorRecord | null = outcome.state === 'succeeded' ? null : outcome.error.toRecord();
  return deps.control.prisma.$transaction(async (transaction) => {
    const attemptOf = { jobId: job.id, attempt: job.attempt };
    const mine = await finishJob(
      transaction,
      attemptOf,
      outcome.state === 'succeeded'
        ? { state: 'succeeded', result: outcome.result ?? null }
        : { state: outcome.state, error },
    );
    if (!mine) return [];
    const body = outcome.state === 'succeeded' ? { result: outcome.result ?? null } : { error };
    await appendEvent(transaction, attemptOf, {
      type: outcome.state,
      body,
      ...(outcome.state === 'succeeded' ? { percent: 100 } : {}),
    });
    const { step } = await transaction.job.findUniqueOrThrow({
      where: { id: job.id },
      select: { step: true },
    });
    const runningMs = Date.now() - (job.startedAt ?? job.createdAt).getTime();
    return raiseAlerts(
      transaction,
      deps.config.alerts.sinks.map((sink) => sink.name),
      { type: 'finished', job: { ...job, step }, state: outcome.state, error, runningMs },
    );
  });
}

/** The control database may be away for a moment; after `staleMs` another worker may have taken the job over. */
async function persist<T>(staleMs: number, write: () => Promise<T>): Promise<T> {
  const until = Date.now() + staleMs;
  for (let pauseMs = 100; ; pauseMs = Math.min(2_000, pauseMs * 2)) {
    try {
      return await write();
    } catch (error) {
      if (Date.now() + pauseMs > until) throw error;
      await pause(pauseMs);
    }
  }
}

/** The row says that the job is queued: what the queue did not take now, the repair pass adds. */
async function addQuietly(
  deps: JobDependencies,
  queue: 'operations' | 'signals',
  entry: QueueEntry,
  delayMs: number,
): Promise<void> {
  try {
    await deps.queue.add(queue, entry, Math.round(delayMs));
  } catch (error) {
    deps.log.warn(
      { err: error, job: entry.jobId },
      'a queued job could not be added to the queue; it is added again later',
    );
  }
}

/** Says that this worker lives, and learns whether the job is to be cancelled or is another's by now. */
function startPulse(
  deps: JobDependencies,
  entry: QueueEntry,
  options: RunnerOptions,
  controller: AbortController,
): { stop(): void } {
  let answeredAt = Date.now();
  const beat = async (): Promise<void> => {
    try {
      const answer = await heartbeat(deps.control.prisma, entry);
      answeredAt = Date.now();
      if (answer === 'cancel')
        controller.abort(new AppError('JOB_CANCELLED', 'The job was cancelled on request.'));
      if (answer === 'lost') controller.abort(superseded());
    } catch (error) {
      if (Date.now() - answeredAt <= options.staleMs) return;
      deps.log.error(
        { err: error, job: entry.jobId },
        'the control database has been away too long; the job is left to another worker',
      );
      controller.abort(superseded());
    }
  };
  const timer = setInterval(() => void beat(), options.heartbeatMs);
  const deafen = deps.control.listener.on('switchback_cancel', (jobId) => {
    if (jobId === null || jobId === entry.jobId) void beat();
  });
  return {
    stop() {
      clearInterval(timer);
      deafen();
    },
  };
}

const superseded = (): AppError => new AppError('JOB_SUPERSEDED', 'Another worker has taken the job over.');

/** Expected errors are logged without the driver's, whose DETAIL may hold row values. */
const withoutCause = ({ code, message }: AppError): { code: string; message: string } => ({ code, message });
