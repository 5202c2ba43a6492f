import { v7 as newId } from 'uuid';
import type { Control } from '../db/control/control.ts';
import { isUniqueViolation } from '../db/control/errors.ts';
import { appendEvent, toJson } from '../db/control/job-rows.ts';
import { AppError, toAppError } from '../errors.ts';
import type { JobKind } from './define-job.ts';
import type { JobQueue } from './queue.ts';

export interface EnqueueRequest<Payload> {
  readonly kind: JobKind<string, Payload>;
  /** Name of the registered database that the job concerns. */
  readonly database: string | null;
  readonly payload: Payload;
  /** Name of the token. */
  readonly requestedBy: string;
}

export interface Enqueued {
  readonly jobId: string;
  readonly recordId: string;
}

/**
 * Inserts a job and its record in one transaction, then adds it to the queue. Once it returns, the job is in the queue.
 * @throws AppError `DATABASE_BUSY` naming the job that is first; `QUEUE_UNAVAILABLE` after marking the row failed
 */
export async function enqueue<Payload>(
  deps: { readonly control: Control; readonly queue: JobQueue },
  request: EnqueueRequest<Payload>,
): Promise<Enqueued> {
  const { kind, database, payload, requestedBy } = request;
  const job = { id: newId(), database, payload: kind.payload.parse(payload), requestedBy };
  const recordId = await insert(deps.control, kind, job);
  try {
    await deps.queue.add(kind.queue, { jobId: job.id, attempt: 1 });
  } catch (error) {
    await failQueued(deps.control, job.id, toAppError(error));
    throw error;
  }
  return { jobId: job.id, recordId };
}

async function insert<Payload>(
  control: Control,
  kind: JobKind<string, Payload>,
  job: { id: string; database: string | null; payload: Payload; requestedBy: string },
): Promise<string> {
  try {
    return await control.prisma.$transaction(async (transaction) => {
      await transaction.job.create({
        data: {
          ...job,
          kind: kind.name,
          queue: kind.queue,
          exclusive: kind.exclusive,
          payload: toJson(job.payload),
        },
      });
      await appendEvent(
        transaction,
        { jobId: job.id, attempt: 0 },
        { type: 'queued', body: { kind: kind.name, requestedBy: job.requestedBy } },
      );
      return kind.record(transaction, job);
    });
  } catch (error) {
    if (isUniqueViolation(error) && kind.exclusive) throw await busy(control, job.database);
    throw error;
  }
}

async function busy(control: Control, database: string | null): Promise<AppError> {
  const first = await control.prisma.job.findFirst({
    where: { database, exclusive: true, state: { in: ['queued', 'running'] } },
  });
  const which =
    first === null
      ? 'which has just finished: try again'
      : `${first.kind} ${first.id}, ${first.state}, requested by ${first.requestedBy}`;
  return new AppError(
    'DATABASE_BUSY',
    `${database} is busy with another operation: ${which}. Nothing was started.`,
    { database, job: first?.id ?? null, kind: first?.kind ?? null },
  );
}

/** A job that never reached the queue is failed for good; only a crash before this line leaves it queued. */
async function failQueued(control: Control, jobId: string, error: AppError): Promise<void> {
  await control.prisma.$transaction(async (transaction) => {
    const { count } = await transaction.job.updateMany({
      where: { id: jobId, state: 'queued', attempt: 0 },
      data: { state: 'failed', finishedAt: new Date(), error: toJson(error.toRecord()) },
    });
    if (count === 1)
      await appendEvent(
        transaction,
        { jobId, attempt: 0 },
        { type: 'failed', body: { error: error.toRecord() } },
      );
  });
}
