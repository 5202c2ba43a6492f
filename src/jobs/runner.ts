/** The only place where a queue entry, a job's row and the domain meet. */
import { claimJob, type Job } from '../db/control/job-rows.ts';
import { outageOf } from '../db/control/outage.ts';
import { AppError, isRetryable, toAppError } from '../errors.ts';
import { tellsMore } from './aborts.ts';
import { type JobContext, type JobKind, Paused } from './define-job.ts';
import type { JobDependencies } from './dependencies.ts';
import { addEntries } from './entries.ts';
import { JobEvents } from './job-events.ts';
import { persist } from './persist.ts';
import { cancelled, type PulseOptions, startPulse, superseded } from './pulse.ts';
import type { QueueEntry } from './queue.ts';
import { type Outcome, settle } from './settle.ts';

export interface RunnerOptions extends PulseOptions {
  readonly worker: string;
  readonly kinds: readonly JobKind[];
  /** Aborts with `JOB_INTERRUPTED` when the worker may wait for its jobs no longer. */
  readonly shutdown: AbortSignal;
}

/** For how many stale times an outcome is tried to be written, when the control database is away. */
const patience = 4;

/**
 * Runs the attempt that a queue entry stands for. An entry that is delivered twice, or late, finds its attempt claimed
 * and does nothing. What BullMQ makes of an entry is of no account: only the row tells what became of the job. Where
 * the outcome cannot be written the heartbeat ends, and another worker takes the job over.
 * @throws where the attempt could not be claimed: the row is still queued, and the repair pass adds a new entry
 */
export async function runEntry(
  deps: JobDependencies,
  entry: QueueEntry,
  options: RunnerOptions,
): Promise<void> {
  const { worker, kinds, staleMs, shutdown } = options;
  const names = kinds.map((kind) => kind.name);
  const job = await claimJob(deps.control.prisma, entry, { worker, kinds: names });
  const kind = kinds.find(({ name }) => name === job?.kind);
  if (job === null || kind === undefined) return;
  const log = deps.log.child({ job: job.id, kind: job.kind, attempt: entry.attempt });
  const controller = new AbortController();
  const abort = (reason: AppError): void => controller.abort(reason);
  const interrupt = (): void => controller.abort(shutdown.reason);
  shutdown.addEventListener('abort', interrupt, { once: true });
  if (shutdown.aborted) interrupt();
  if (job.cancelRequestedAt !== null) abort(cancelled());
  const pulse = startPulse(deps, entry, options, abort);
  const events = new JobEvents(deps.control.prisma, entry, {
    log,
    patienceMs: staleMs,
    onLost: () => abort(superseded()),
  });
  try {
    const outcome = await attempt({ deps, job, kind, events, signal: controller.signal, log });
    await events.flush();
    if (outcome !== null)
      await addEntries(deps, await persist(patience * staleMs, () => settle(deps, job, outcome)));
  } catch (error) {
    log.error({ err: error }, 'the outcome of a job could not be written; another worker takes it over');
  } finally {
    pulse.stop();
    shutdown.removeEventListener('abort', interrupt);
  }
}

interface AttemptInput {
  readonly deps: JobDependencies;
  readonly job: Job;
  readonly kind: JobKind;
  readonly events: JobEvents;
  readonly signal: AbortSignal;
  readonly log: JobContext<unknown>['log'];
}

/** What the attempt came to; null when it is no longer this worker's to tell. */
async function attempt({ deps, job, kind, events, signal, log }: AttemptInput): Promise<Outcome | null> {
  try {
    signal.throwIfAborted();
    const payload = kind.payload.parse(job.payload);
    events.started(kind.steps, job.attempt);
    const { id, database, requestedBy } = job;
    const running = { id, kind: job.kind, database, attempt: job.attempt, requestedBy };
    const { step, note } = events;
    const result = await kind.run({ job: running, payload, signal, log, deps, step, note });
    return result instanceof Paused
      ? { state: 'paused', stands: result.stands }
      : { state: 'succeeded', result };
  } catch (thrown) {
    const outcome = outcomeOf(thrown, signal, kind, job.attempt);
    if (outcome === null) log.warn('the job is left to another worker');
    else if (outcome.state !== 'succeeded' && outcome.state !== 'paused')
      log[outcome.state === 'failed' ? 'error' : 'warn'](
        { err: outcome.error.code === 'INTERNAL' ? thrown : withoutCause(outcome.error) },
        outcome.error.message,
      );
    return outcome;
  }
}

function outcomeOf(
  thrown: unknown,
  signal: AbortSignal,
  kind: JobKind,
  attemptNumber: number,
): Outcome | null {
  const error = errorOf(thrown, signal);
  if (error.code === 'JOB_SUPERSEDED') return null;
  if (error.code === 'JOB_INTERRUPTED' && kind.whenInterrupted === 'resume')
    return { state: 'queued', error, delayMs: 0 };
  if (error.code === 'JOB_CANCELLED') return { state: 'cancelled', error };
  if (isRetryable(error.code) && attemptNumber < kind.attempts)
    return { state: 'queued', error, delayMs: Math.max(kind.backoffMs(attemptNumber), askedPauseMs(error)) };
  return { state: 'failed', error };
}

/** After an abort whatever was thrown is its consequence; of the same code, it knows more than the reason does. */
function errorOf(thrown: unknown, signal: AbortSignal): AppError {
  const error = toAppError(outageOf(thrown));
  const reason: unknown = signal.reason;
  if (!signal.aborted || !(reason instanceof AppError)) return error;
  return error.code === reason.code || tellsMore.has(error.code) ? error : reason;
}

/** A pause that whoever refused asked for, in his own words: `details.retryAfterSeconds`. */
const askedPauseMs = ({ details }: AppError): number =>
  typeof details.retryAfterSeconds === 'number' ? details.retryAfterSeconds * 1000 : 0;

/** Expected errors are logged without the driver's, whose DETAIL may hold row values. */
const withoutCause = ({ code, message }: AppError): { code: string; message: string } => ({ code, message });
