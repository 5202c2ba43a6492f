/** What a crash leaves is found in the rows, by any worker: nothing depends on a timer of the process that died. */
import { raiseAlerts } from '../alerts/raise.ts';
import { appendEvent, finishJob, type Job, requeueJob } from '../db/control/job-rows.ts';
import { AppError } from '../errors.ts';
import type { JobKind } from './define-job.ts';
import type { JobDependencies } from './dependencies.ts';
import type { QueueEntry } from './queue.ts';

/** A row that has been due this long and is still queued may have lost its queue entry. */
const lostAfterMs = 10_000;
const batch = 200;
const hour = 3_600_000;

/** One pass. Each change is guarded by the row's own state, so that several workers may do it at once. */
export async function repair(
  deps: JobDependencies,
  kinds: readonly JobKind[],
  options: { staleMs: number },
): Promise<void> {
  await takeOverStale(deps, kinds, options.staleMs);
  await addLost(deps);
  await tellOverdue(deps);
  await prune(deps);
}

async function takeOverStale(
  deps: JobDependencies,
  kinds: readonly JobKind[],
  staleMs: number,
): Promise<void> {
  const stale = await deps.control.prisma.job.findMany({
    where: { state: 'running', heartbeatAt: { lt: new Date(Date.now() - staleMs) } },
    take: batch,
  });
  for (const job of stale) {
    const resumes = kinds.find((kind) => kind.name === job.kind)?.whenInterrupted === 'resume';
    const deliveries = await (resumes ? handOver(deps, job) : giveUp(deps, job));
    for (const entry of deliveries) await deps.queue.add(entry.queue, entry);
  }
}

type Delivery = QueueEntry & { readonly queue: 'operations' | 'signals' };

const interrupted = (job: Job): AppError =>
  new AppError(
    'JOB_INTERRUPTED',
    `The worker ${job.worker} that ran the job is gone: it gave no sign of life since ${job.heartbeatAt?.toISOString()}.`,
    { worker: job.worker, step: job.step },
  );

function handOver(deps: JobDependencies, job: Job): Promise<Delivery[]> {
  const attempt = { jobId: job.id, attempt: job.attempt };
  return deps.control.prisma.$transaction(async (transaction) => {
    if (!(await requeueJob(transaction, attempt, new Date()))) return [];
    await appendEvent(transaction, attempt, {
      type: 'requeued',
      body: { error: interrupted(job).toRecord(), delayMs: 0 },
    });
    return [{ queue: queueOf(job), jobId: job.id, attempt: job.attempt + 1 }];
  });
}

function giveUp(deps: JobDependencies, job: Job): Promise<Delivery[]> {
  const attempt = { jobId: job.id, attempt: job.attempt };
  const error = interrupted(job).toRecord();
  return deps.control.prisma.$transaction(async (transaction) => {
    if (!(await finishJob(transaction, attempt, { state: 'failed', error }))) return [];
    await appendEvent(transaction, attempt, { type: 'failed', body: { error } });
    const runningMs = Date.now() - (job.startedAt ?? job.createdAt).getTime();
    const jobs = await raiseAlerts(transaction, sinkNames(deps), {
      type: 'finished',
      job,
      state: 'failed',
      error,
      runningMs,
    });
    return jobs.map((jobId) => ({ queue: 'signals', jobId, attempt: 1 }));
  });
}

/** Adding an entry that is still there changes nothing. */
async function addLost(deps: JobDependencies): Promise<void> {
  const lost = await deps.control.prisma.job.findMany({
    where: { state: 'queued', dueAt: { lt: new Date(Date.now() - lostAfterMs) } },
    orderBy: { dueAt: 'asc' },
    take: batch,
  });
  for (const job of lost) await deps.queue.add(queueOf(job), { jobId: job.id, attempt: job.attempt + 1 });
}

async function tellOverdue(deps: JobDependencies): Promise<void> {
  const since = new Date(Date.now() - deps.config.alerts.overdueSeconds * 1000);
  const overdue = await deps.control.prisma.job.findMany({
    where: { state: 'running', startedAt: { lt: since }, overdueToldAt: null },
    take: batch,
  });
  for (const job of overdue) {
    const deliveries = await deps.control.prisma.$transaction(async (transaction) => {
      const { count } = await transaction.job.updateMany({
        where: { id: job.id, state: 'running', overdueToldAt: null },
        data: { overdueToldAt: new Date() },
      });
      if (count === 0) return [];
      const runningMs = Date.now() - (job.startedAt ?? job.createdAt).getTime();
      return raiseAlerts(transaction, sinkNames(deps), {
        type: 'overdue',
        job,
        state: 'running',
        error: null,
        runningMs,
      });
    });
    for (const jobId of deliveries) await deps.queue.add('signals', { jobId, attempt: 1 });
  }
}

/** Health checks and idempotency keys come by the thousand and are of no use a day later. */
async function prune(deps: JobDependencies): Promise<void> {
  const dayAgo = new Date(Date.now() - 24 * hour);
  const old = await deps.control.prisma.job.findMany({
    where: {
      kind: 'health-check',
      state: { in: ['succeeded', 'failed', 'cancelled'] },
      finishedAt: { lt: dayAgo },
    },
    select: { id: true },
    take: batch,
  });
  await deps.control.prisma.job.deleteMany({ where: { id: { in: old.map(({ id }) => id) } } });
  await deps.control.prisma.idempotencyKey.deleteMany({ where: { createdAt: { lt: dayAgo } } });
}

const queueOf = (job: Job): 'operations' | 'signals' => (job.queue === 'signals' ? 'signals' : 'operations');
const sinkNames = (deps: JobDependencies): string[] => deps.config.alerts.sinks.map((sink) => sink.name);
