/** The rows of jobs: each change of state is one `update … where state …`, and the database decides who won. */
import type { ControlTransaction } from './control.ts';
import { type Job, Prisma, type PrismaClient } from './generated/client.ts';

type Queryable = PrismaClient | ControlTransaction;
export type JobState = 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';
export type { Job };

export const terminalStates: readonly string[] = ['succeeded', 'failed', 'cancelled'];

/** One attempt at a job: whoever holds it may write, until another attempt is counted. */
export interface Attempt {
  readonly jobId: string;
  readonly attempt: number;
}

export interface EventBody {
  readonly [key: string]: unknown;
}

/**
 * Claims an attempt for a worker. Null: the attempt was claimed before, or the job is no longer queued; a queue entry
 * that is delivered twice ends here.
 */
export async function claimJob(
  prisma: PrismaClient,
  { jobId, attempt }: Attempt,
  worker: string,
): Promise<Job | null> {
  const now = new Date();
  const [job] = await prisma.job.updateManyAndReturn({
    where: { id: jobId, state: 'queued', attempt: attempt - 1 },
    data: { state: 'running', attempt, worker, heartbeatAt: now, startedAt: now, error: Prisma.DbNull },
  });
  return job ?? null;
}

/** Says that the worker lives, and asks whether the job is to be cancelled. `lost`: another attempt owns the job. */
export async function heartbeat(
  prisma: PrismaClient,
  { jobId, attempt }: Attempt,
): Promise<'go on' | 'cancel' | 'lost'> {
  const rows = await prisma.$queryRaw<{ cancel: boolean }[]>`
    update job set heartbeat_at = now() where id = ${jobId}::uuid and attempt = ${attempt} and state = 'running'
    returning cancel_requested_at is not null as cancel`;
  if (rows[0] === undefined) return 'lost';
  return rows[0].cancel ? 'cancel' : 'go on';
}

/**
 * Writes an event with the job's next number, and wakes its readers. A number becomes visible only with those before
 * it, because the row is locked until the event's own transaction ends.
 * @returns whether the attempt still owns the job
 */
export async function appendEvent(
  db: Queryable,
  { jobId, attempt }: Attempt,
  event: { type: string; body: EventBody; step?: string; percent?: number },
): Promise<boolean> {
  const rows = await db.$queryRaw<unknown[]>`
    with numbered as (
      update job set last_event = last_event + 1, step = coalesce(${event.step ?? null}, step), percent = greatest(percent, ${event.percent ?? 0}::float8)
       where id = ${jobId}::uuid and attempt = ${attempt} returning id, last_event
    ), inserted as (
      insert into job_event (job_id, number, type, body)
      select id, last_event, ${event.type}, ${JSON.stringify(event.body)}::jsonb from numbered returning job_id
    )
    select pg_notify('switchback_event', job_id::text)::text as woken from inserted`;
  return rows.length > 0;
}

/** Ends an attempt. @returns false when another attempt owns the job: nothing was written */
export async function finishJob(
  transaction: ControlTransaction,
  { jobId, attempt }: Attempt,
  outcome: { state: 'succeeded' | 'failed' | 'cancelled'; result?: unknown; error?: unknown },
): Promise<boolean> {
  const { count } = await transaction.job.updateMany({
    where: { id: jobId, attempt, state: 'running' },
    data: {
      state: outcome.state,
      finishedAt: new Date(),
      ...(outcome.state === 'succeeded' ? { percent: 100 } : {}),
      ...(outcome.result === undefined ? {} : { result: toJson(outcome.result) }),
      ...(outcome.error === undefined ? {} : { error: toJson(outcome.error) }),
    },
  });
  return count === 1;
}

/** Puts a running attempt back into the queue, not before `dueAt`. @returns false when another attempt owns the job */
export async function requeueJob(db: Queryable, { jobId, attempt }: Attempt, dueAt: Date): Promise<boolean> {
  const { count } = await db.job.updateMany({
    where: { id: jobId, attempt, state: 'running' },
    data: { state: 'queued', dueAt, worker: null, heartbeatAt: null },
  });
  return count === 1;
}

export interface StoredEvent {
  readonly number: number;
  readonly at: Date;
  readonly type: string;
  readonly body: unknown;
}

/** The events after a number, in order; at most `limit`. */
export function readEvents(
  prisma: PrismaClient,
  jobId: string,
  after: number,
  limit: number,
): Promise<StoredEvent[]> {
  return prisma.jobEvent.findMany({
    where: { jobId, number: { gt: after } },
    orderBy: { number: 'asc' },
    take: limit,
    select: { number: true, at: true, type: true, body: true },
  });
}

/** Dates, bigints and undefined as JSON has them. */
export const toJson = (value: unknown): Prisma.InputJsonValue =>
  JSON.parse(
    JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? Number(item) : item)),
  ) as Prisma.InputJsonValue;
