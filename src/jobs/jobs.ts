import type { Control } from '../db/control/control.ts';
import { endJob, type Job, terminalStates } from '../db/control/job-rows.ts';
import { withDeadline } from '../deadline.ts';
import { AppError } from '../errors.ts';
import type { EventTails } from './events.ts';

export type { Job };

/** @throws AppError `JOB_NOT_FOUND` */
export async function readJob(control: Control, id: string): Promise<Job> {
  const job = await control.prisma.job.findUnique({ where: { id } });
  if (job === null) throw new AppError('JOB_NOT_FOUND', `There is no job ${id}.`, { job: id });
  return job;
}

/**
 * Cancels a job: one that is queued or paused at once, a running one as soon as its statement has ended. The row is the channel, so it
 * reaches whichever worker runs the job.
 * @throws AppError `JOB_NOT_FOUND`, `JOB_ALREADY_FINISHED`
 */
export async function cancelJob(control: Control, id: string, requestedBy: string): Promise<Job> {
  await control.prisma.$transaction(async (transaction) => {
    // Between two looks a worker could claim the job, or put it back: neither would see the request.
    await transaction.$executeRaw`select from job where id = ${id}::uuid for update`;
    const job = await transaction.job.findUnique({ where: { id } });
    if (job === null || job.cancelRequestedAt !== null || terminalStates.includes(job.state)) return;
    await transaction.$executeRaw`
      update job set cancel_requested_at = now(), cancel_requested_by = ${requestedBy} where id = ${id}::uuid`;
    if (job.state === 'queued' || job.state === 'paused') {
      const error = new AppError(
        'JOB_CANCELLED',
        `The job was cancelled by ${requestedBy} ${job.state === 'queued' ? 'before it started' : 'while it was paused'}.`,
      );
      const attempt = { jobId: id, attempt: job.attempt };
      await endJob(transaction, attempt, job.state, { state: 'cancelled', error: error.toRecord() });
    } else await transaction.$executeRaw`select pg_notify('switchback_cancel', ${id})`;
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
  await withDeadline(options.signal, options.seconds * 1000, async (signal) => {
    for await (const event of deps.tails.tail(id, job.lastEvent, signal))
      if (terminalStates.includes(event.type)) return;
  });
  return readJob(deps.control, id);
}
