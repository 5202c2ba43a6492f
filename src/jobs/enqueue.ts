import { v7 as newId } from 'uuid';
import type { Control, ControlTransaction } from '../db/control/control.ts';
import { isExclusion } from '../db/control/errors.ts';
import { endJob, insertJob, type Job } from '../db/control/job-rows.ts';
import { AppError, toAppError } from '../errors.ts';
import type { JobKind } from './define-job.ts';
import { persist } from './persist.ts';
import type { JobQueue } from './queue.ts';

/** For how long a refusal is tried to be written. */
const patienceMs = 5_000;

export interface EnqueueRequest<Payload> {
  readonly kind: JobKind<string, Payload>;
  /** Name of the registered database that the job concerns. */
  readonly database: string | null;
  readonly payload: Payload;
  /** Name of the token. */
  readonly requestedBy: string;
  /** What else belongs into the transaction that inserts the job. What it throws is thrown, and nothing was started. */
  readonly together?: (transaction: ControlTransaction, jobId: string) => Promise<void>;
}

export interface Enqueued {
  readonly jobId: string;
  readonly recordId: string;
  /** By the control database's clock. */
  readonly createdAt: Date;
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
  const inserted = await insert(deps.control, kind, job, request.together);
  try {
    await deps.queue.add(kind.queue, { jobId: job.id, attempt: 1 });
  } catch (error) {
    await failQueued(deps.control, job.id, toAppError(error));
    throw error;
  }
  return { jobId: job.id, ...inserted };
}

async function insert<Payload>(
  control: Control,
  kind: JobKind<string, Payload>,
  job: { id: string; database: string | null; payload: Payload; requestedBy: string },
  together: EnqueueRequest<Payload>['together'],
): Promise<Pick<Enqueued, 'recordId' | 'createdAt'>> {
  const { name, queue, exclusive } = kind;
  const record = kind.record?.(job) ?? null;
  for (;;) {
    try {
      const row = { ...job, kind: name, queue, exclusive };
      const createdAt =
        together === undefined
          ? await insertJob(control.prisma, row, record)
          : await control.prisma.$transaction(async (transaction) => {
              const at = await insertJob(transaction, row, record);
              await together(transaction, job.id);
              return at;
            });
      return { recordId: record?.row.id ?? job.id, createdAt };
    } catch (error) {
      if (!isExclusion(error)) throw error;
      const first = await control.prisma.job.findFirst({
        where: { database: job.database, exclusive: true, state: { in: ['queued', 'running'] } },
      });
      // Where there is none it has finished since, and the way is free.
      if (first !== null) throw busy(first);
    }
  }
}

const busy = ({ id, kind, state, database, requestedBy }: Job): AppError =>
  new AppError(
    'DATABASE_BUSY',
    `${database} is busy with another operation: ${kind} ${id}, ${state}, requested by ${requestedBy}. Nothing was started.`,
    { database, job: id, kind },
  );

/** A job that never reached the queue is failed for good; only a crash before this line leaves it queued. */
async function failQueued(control: Control, jobId: string, error: AppError): Promise<void> {
  // The two may be on one server that is starting again: a job that was refused must not run after all.
  await persist(patienceMs, () =>
    control.prisma.$transaction((transaction) =>
      endJob(transaction, { jobId, attempt: 0 }, 'queued', { state: 'failed', error: error.toRecord() }),
    ),
  );
}
