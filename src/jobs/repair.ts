/**
 * What a crash leaves is found in the rows, by any worker: nothing depends on a timer of the process that died. Each
 * change is guarded by the row's own state, so that several workers may do a pass at once.
 */
import { raiseAlerts } from '../alerts/raise.ts';
import { databaseTime, type Job, terminalStates } from '../db/control/job-rows.ts';
import { AppError } from '../errors.ts';
import type { JobKind } from './define-job.ts';
import type { JobDependencies } from './dependencies.ts';
import { addEntries, type DueEntry, deliveryEntries, nextEntry } from './entries.ts';
import { runningMs, settle } from './settle.ts';

/** A row that has been due this long and is still queued may have lost its queue entry. */
const lostAfterMs = 10_000;
/** A job that takes its worker down with it every time is given up after so many. */
const mostInterruptions = 10;
const batch = 200;

/** One pass over what has to be put right soon. Rows come first, so that a queue that is away keeps nothing from them. */
export async function repair(
  deps: JobDependencies,
  kinds: readonly JobKind[],
  { staleMs }: { staleMs: number },
): Promise<void> {
  const now = await databaseTime(deps.control.prisma);
  await addEntries(deps, [
    ...(await takeOverStale(deps, kinds, now - staleMs)),
    ...(await tellOverdue(deps, now)),
    ...(await findLost(deps, now - lostAfterMs)),
  ]);
}

async function takeOverStale(
  deps: JobDependencies,
  kinds: readonly JobKind[],
  before: number,
): Promise<DueEntry[]> {
  const stale = await deps.control.prisma.job.findMany({
    where: {
      state: 'running',
      kind: { in: kinds.map(({ name }) => name) },
      heartbeatAt: { lt: new Date(before) },
    },
    take: batch,
  });
  const entries: DueEntry[] = [];
  for (const job of stale) {
    const kind = kinds.find(({ name }) => name === job.kind);
    const resumes = kind?.whenInterrupted === 'resume' && job.attempt < kind.attempts + mostInterruptions;
    const error = interrupted(job);
    entries.push(
      ...(await settle(
        deps,
        job,
        resumes ? { state: 'queued', error, delayMs: 0 } : { state: 'failed', error },
      )),
    );
  }
  return entries;
}

const interrupted = (job: Job): AppError =>
  new AppError(
    'JOB_INTERRUPTED',
    `The worker ${job.worker} that ran the job is gone: it gave no sign of life since ${job.heartbeatAt?.toISOString()}.`,
    { worker: job.worker, step: job.step },
  );

async function tellOverdue({ control, config }: JobDependencies, now: number): Promise<DueEntry[]> {
  const sinks = config.alerts.sinks.map((sink) => sink.name);
  const overdue = await control.prisma.job.findMany({
    where: {
      state: 'running',
      startedAt: { lt: new Date(now - config.alerts.overdueSeconds * 1000) },
      overdueToldAt: null,
    },
    take: batch,
  });
  const entries: DueEntry[] = [];
  for (const job of overdue) {
    const told = await control.prisma.$transaction(async (transaction) => {
      const { count } = await transaction.job.updateMany({
        where: { id: job.id, state: 'running', overdueToldAt: null },
        data: { overdueToldAt: new Date(now) },
      });
      if (count === 0) return [];
      return raiseAlerts(transaction, sinks, {
        type: 'overdue',
        job,
        state: 'running',
        error: null,
        rolledBack: [],
        runningMs: runningMs(job, now),
      });
    });
    entries.push(...deliveryEntries(told));
  }
  return entries;
}

/** Adding an entry that is still there changes nothing. */
async function findLost({ control }: JobDependencies, dueBefore: number): Promise<DueEntry[]> {
  const lost = await control.prisma.job.findMany({
    where: { state: 'queued', dueAt: { lt: new Date(dueBefore) } },
    orderBy: { dueAt: 'asc' },
    take: batch,
  });
  return lost.map((job) => nextEntry(job));
}

const day = 24 * 3_600_000;
/** What comes by the thousand and is of no use after so many days; everything else is kept. */
const keptDays: Readonly<Record<string, number>> = {
  'health-check': 1,
  'vault-expiry': 7,
  'alert-delivery': 30,
};
const pruneBatch = 1_000;

/** Removes what has outlived its use, a batch at a time. */
export async function prune({ control: { prisma } }: JobDependencies): Promise<void> {
  const now = await databaseTime(prisma);
  for (const [kind, days] of Object.entries(keptDays))
    await prisma.job.deleteMany({
      where: { kind, state: { in: [...terminalStates] }, finishedAt: { lt: new Date(now - days * day) } },
      limit: pruneBatch,
    });
  await prisma.idempotencyKey.deleteMany({
    where: { createdAt: { lt: new Date(now - day) } },
    limit: pruneBatch,
  });
}
