import { raiseAlerts } from '../alerts/raise.ts';
import type { ControlTransaction } from '../db/control/control.ts';
import { endJob, type Job, type JobOutcome, pauseJob, requeueJob } from '../db/control/job-rows.ts';
import { AppError } from '../errors.ts';
import type { Paused } from './define-job.ts';
import type { JobDependencies } from './dependencies.ts';
import { type DueEntry, deliveryEntries, nextEntry } from './entries.ts';
import { cancelled } from './pulse.ts';

/** What an attempt comes to. */
export type Outcome =
  | { readonly state: 'succeeded'; readonly result: unknown }
  | { readonly state: 'failed' | 'cancelled'; readonly error: AppError }
  | { readonly state: 'paused'; readonly stands: Paused['stands'] }
  | { readonly state: 'queued'; readonly error: AppError; readonly delayMs: number };

/**
 * Writes what an attempt came to, its event, and its alerts with their deliveries' jobs, all in one transaction.
 * Returns the entries that belong into the queue once that is done; none when another attempt owns the job.
 */
export function settle(
  { control, config }: Pick<JobDependencies, 'control' | 'config'>,
  job: Job,
  outcome: Outcome,
): Promise<DueEntry[]> {
  const sinks = config.alerts.sinks.map((sink) => sink.name);
  return control.prisma.$transaction((transaction) =>
    outcome.state === 'queued'
      ? requeue(transaction, sinks, job, outcome)
      : outcome.state === 'paused'
        ? rest(transaction, sinks, job, outcome)
        : end(transaction, sinks, job, outcome),
  );
}

async function rest(
  transaction: ControlTransaction,
  sinks: readonly string[],
  job: Job,
  { stands }: Extract<Outcome, { state: 'paused' }>,
): Promise<DueEntry[]> {
  if (!(await stands(transaction)))
    return requeue(transaction, sinks, job, { state: 'queued', error: resumed(), delayMs: 0 });
  if (await pauseJob(transaction, { jobId: job.id, attempt: job.attempt })) return [];
  return end(transaction, sinks, job, { state: 'cancelled', error: cancelled() });
}

const resumed = (): AppError =>
  new AppError('JOB_INTERRUPTED', 'The job was resumed before it had come to rest.');

async function requeue(
  transaction: ControlTransaction,
  sinks: readonly string[],
  job: Job,
  { error, delayMs }: Extract<Outcome, { state: 'queued' }>,
): Promise<DueEntry[]> {
  const attempt = { jobId: job.id, attempt: job.attempt };
  if (await requeueJob(transaction, attempt, { error: error.toRecord(), delayMs }))
    return [nextEntry(job, delayMs)];
  // A request to cancel that this attempt did not live to hear, or the job is no longer ours and nothing is written.
  return end(transaction, sinks, job, { state: 'cancelled', error: cancelled() });
}

async function end(
  transaction: ControlTransaction,
  sinks: readonly string[],
  job: Job,
  outcome: Exclude<Outcome, { state: 'queued' | 'paused' }>,
): Promise<DueEntry[]> {
  const { id, attempt } = job;
  const error = outcome.state === 'succeeded' ? null : outcome.error.toRecord();
  const written: JobOutcome =
    outcome.state === 'succeeded' ? outcome : { state: outcome.state, error: outcome.error.toRecord() };
  if (!(await endJob(transaction, { jobId: id, attempt }, 'running', written))) return [];
  const ended = await transaction.job.findUniqueOrThrow({ where: { id } });
  return deliveryEntries(
    await raiseAlerts(transaction, sinks, {
      type: 'finished',
      job: ended,
      state: outcome.state,
      error,
      rolledBack: rolledBackBy(outcome),
      runningMs: runningMs(ended),
    }),
  );
}

/** Rollbacks name them in their result, and every failure after one in its details. */
function rolledBackBy(outcome: Exclude<Outcome, { state: 'queued' | 'paused' }>): readonly string[] {
  const told = outcome.state === 'succeeded' ? outcome.result : outcome.error.details;
  const { rolledBack } = (told ?? {}) as { rolledBack?: unknown };
  return Array.isArray(rolledBack) ? rolledBack.filter((name) => typeof name === 'string') : [];
}

/** How long a job has been running, or ran, by the control database's clock. */
export const runningMs = (job: Job, now = job.finishedAt?.getTime() ?? 0): number =>
  Math.max(0, now - (job.startedAt ?? job.createdAt).getTime());
