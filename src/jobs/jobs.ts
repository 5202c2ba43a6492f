import type { Control } from '../db/control/control.ts';
import { appendEvent, type Job, terminalStates, toJson } from '../db/control/job-rows.ts';
import { AppError } from '../errors.ts';
import type { EventTails } from './events.ts';

export type { Job };

/** @throws AppError `JOB_NOT_FOUND` */
export async function readJob(control: Control, id: string): Promise<Job> {
  const job = await control.prisma.job.findUnique({ where: { id } });
  if (job === null) throw new AppError('JOB_NOT_FOUND', `There is no job ${id}.`, { job: id });
  return job;
}

export interface JobFilter {
  /** Databases that the caller may see; null: all. Jobs of no database are seen by all. */
  readonly databases: readonly string[] | null;
  readonly database?: string | undefined;
  readonly state?: string | undefined;
  readonly kind?: string | undefined;
}

/** Jobs, youngest first, after the cursor's. Ids are UUIDs of version 7: their order is that of creation. */
export function listJobs(
  control: Control,
  filter: JobFilter,
  page: { limit: number; before?: string | undefined },
): Promise<Job[]> {
  const { databases, database, state, kind } = filter;
  return control.prisma.job.findMany({
    where: {
      ...(database === undefined ? {} : { database }),
      ...(state === undefined ? {} : { state }),
      ...(kind === undefined ? {} : { kind }),
      ...(page.before === undefined ? {} : { id: { lt: page.before } }),
      ...(databases === null ? {} : { OR: [{ database: null }, { database: { in: [...databases] } }] }),
    },
    orderBy: { id: 'desc' },
    take: page.limit,
  });
}

/**
 * Cancels a job: a queued one at once, a running one as soon as its statement has ended. The row is the channel, so it
 * reaches whichever worker runs the job.
 * @throws AppError `JOB_NOT_FOUND`, `JOB_ALREADY_FINISHED`
 */
export async function cancelJob(control: Control, id: string, requestedBy: string): Promise<Job> {
  const error = new AppError(
    'JOB_CANCELLED',
    `The job was cancelled by ${requestedBy} before it started.`,
  ).toRecord();
  await control.prisma.$transaction(async (transaction) => {
    const request = { cancelRequestedAt: new Date(), cancelRequestedBy: requestedBy };
    const [queued] = await transaction.job.updateManyAndReturn({
      where: { id, state: 'queued' },
      data: { ...request, state: 'cancelled', finishedAt: new Date(), error: toJson(error) },
    });
    if (queued !== undefined) {
      await appendEvent(
        transaction,
        { jobId: id, attempt: queued.attempt },
        { type: 'cancelled', body: { error } },
      );
      return;
    }
    const { count } = await transaction.job.updateMany({
      where: { id, state: 'running', cancelRequestedAt: null },
      data: request,
    });
    if (count === 1) await transaction.$executeRaw`select pg_notify('switchback_cancel', ${id})`;
  });
  const job = await readJob(control, id);
  if (terminalStates.includes(job.state) && job.state !== 'cancelled')
    throw new AppError(
      'JOB_ALREADY_FINISHED',
      `The job ${id} has ${job.state} already; there is nothing to cancel.`,
      { job: id, state: job.state },
    );
  return job;
}

/** Waits until a job is over, at most `seconds`; returns it as it is then. */
export async function waitForJob(
  deps: { readonly control: Control; readonly tails: EventTails },
  id: string,
  options: { readonly seconds: number; readonly signal: AbortSignal },
): Promise<Job> {
  const job = await readJob(deps.control, id);
  if (terminalStates.includes(job.state) || options.seconds === 0) return job;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.seconds * 1000)]);
  for await (const event of deps.tails.tail(id, job.lastEvent, signal))
    if (terminalStates.includes(event.type)) break;
  return readJob(deps.control, id);
}
