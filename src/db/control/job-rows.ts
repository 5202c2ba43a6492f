/** The rows of jobs: each change of state is one `update … where state …`, and the database decides who won. */
import type { ControlTransaction } from './control.ts';
import { type Job, Prisma, type PrismaClient } from './generated/client.ts';

type Queryable = PrismaClient | ControlTransaction;

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

export type JobOutcome =
  | { readonly state: 'succeeded'; readonly result: unknown }
  | { readonly state: 'failed' | 'cancelled'; readonly error: object };

/** A row of the table of a kind's records, by its columns. `created_at` is added by the database. */
export interface NewRecord {
  readonly table:
    | 'deployment'
    | 'rollback'
    | 'rollback_test'
    | 'backup'
    | 'health_check'
    | 'recovery'
    | 'validation';
  readonly row: Readonly<Record<string, string | null>> & { readonly id: string };
}

/**
 * Inserts a job, its first event and its record, in one statement: one way to the database and back. Nobody is woken:
 * a NOTIFY would make commits wait for each other, and nobody can be waiting for a job whose id is not known yet.
 * @returns when it was created, by the database's clock
 */
export async function insertJob(
  prisma: Queryable,
  job: Pick<Job, 'id' | 'kind' | 'queue' | 'database' | 'exclusive' | 'requestedBy'> & {
    readonly payload: unknown;
  },
  record: NewRecord | null,
): Promise<Date> {
  const { id, kind, queue, database, exclusive, requestedBy } = job;
  const body = { kind, requestedBy, percent: 0 };
  const rows = await prisma.$queryRaw<{ at: Date }[]>`
    with inserted as (
      insert into job (id, kind, queue, database, exclusive, payload, requested_by, last_event)
      values (${id}::uuid, ${kind}, ${queue}, ${database}, ${exclusive}, ${JSON.stringify(toJson(job.payload))}::jsonb, ${requestedBy}, 1)
      returning id
    )${record === null ? Prisma.empty : insertRecord(record)}
    insert into job_event (job_id, number, type, body) select id, 1, 'queued', ${JSON.stringify(body)}::jsonb from inserted
    returning at`;
  return rows[0]?.at ?? new Date();
}

function insertRecord({ table, row }: NewRecord): Prisma.Sql {
  const name = Prisma.raw(table);
  return Prisma.sql`, recorded as (
      insert into ${name}
      select * from jsonb_populate_record(null::${name}, ${JSON.stringify(row)}::jsonb || jsonb_build_object('created_at', now()))
    )`;
}

/** The control database's clock: the only one by which rows are judged, since those of workers may differ. */
export async function databaseTime(prisma: PrismaClient): Promise<number> {
  const rows = await prisma.$queryRaw<{ now: Date }[]>`select now() as now`;
  return rows[0]?.now.getTime() ?? Date.now();
}

/**
 * Claims an attempt for a worker that knows these kinds. Null: the attempt was claimed before, the job is no longer
 * queued, or it is for another worker; a queue entry that is delivered twice ends here.
 */
export async function claimJob(
  prisma: PrismaClient,
  { jobId, attempt }: Attempt,
  by: { worker: string; kinds: readonly string[] },
): Promise<Job | null> {
  const claimed = await prisma.$executeRaw`
    update job set state = 'running', attempt = ${attempt}, worker = ${by.worker},
           heartbeat_at = now(), started_at = coalesce(started_at, now())
     where id = ${jobId}::uuid and state = 'queued' and attempt = ${attempt - 1} and kind = any(${[...by.kinds]})`;
  return claimed === 0 ? null : prisma.job.findUnique({ where: { id: jobId } });
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
 * it, because the row is locked until the event's own transaction ends. `percent` is the job's, which never falls,
 * whatever an attempt that begins again reports.
 * @param state the state that the job must be in, where an attempt alone does not tell
 * @returns whether the attempt still owns the job
 */
export async function appendEvent(
  db: Queryable,
  { jobId, attempt }: Attempt,
  event: { type: string; body: EventBody; step?: string; percent?: number },
  state?: 'running',
): Promise<boolean> {
  const rows = await db.$queryRaw<unknown[]>`
    with numbered as (
      update job set last_event = last_event + 1, step = coalesce(${event.step ?? null}, step), percent = greatest(percent, ${event.percent ?? 0}::float8)
       where id = ${jobId}::uuid and attempt = ${attempt} and state = coalesce(${state ?? null}, state)
      returning id, last_event, percent
    ), inserted as (
      insert into job_event (job_id, number, type, body)
      select id, last_event, ${event.type}, ${JSON.stringify(toJson(event.body))}::jsonb || jsonb_build_object('percent', percent)
        from numbered returning job_id
    )
    select pg_notify('switchback_event', job_id::text)::text as woken from inserted`;
  return rows.length > 0;
}

/**
 * Ends a job, with its last event.
 * @param from the state that it must be in
 * @returns false when it is not, or another attempt owns the job: nothing was written
 */
export async function endJob(
  transaction: ControlTransaction,
  { jobId, attempt }: Attempt,
  from: 'queued' | 'running' | 'paused',
  outcome: JobOutcome,
): Promise<boolean> {
  const told = outcome.state === 'succeeded' ? { result: outcome.result ?? null } : { error: outcome.error };
  const ended = await transaction.$executeRaw`
    update job set state = ${outcome.state}, finished_at = now(),
           result = ${column('result' in told ? told.result : null)}::jsonb,
           error = ${column('error' in told ? told.error : null)}::jsonb
     where id = ${jobId}::uuid and attempt = ${attempt} and state = ${from}`;
  if (ended === 0) return false;
  const percent = outcome.state === 'succeeded' ? { percent: 100 } : {};
  return appendEvent(transaction, { jobId, attempt }, { type: outcome.state, body: told, ...percent });
}

/**
 * Puts a running attempt back into the queue, for `delayMs` from now.
 * @returns false when another attempt owns the job, or it is to be cancelled: nothing was written
 */
export async function requeueJob(
  transaction: ControlTransaction,
  { jobId, attempt }: Attempt,
  { error, delayMs }: { error: object; delayMs: number },
): Promise<boolean> {
  const requeued = await transaction.$executeRaw`
    update job set state = 'queued', due_at = now() + ${delayMs}::float8 * interval '1 millisecond', worker = null, heartbeat_at = null
     where id = ${jobId}::uuid and attempt = ${attempt} and state = 'running' and cancel_requested_at is null`;
  if (requeued === 0) return false;
  return appendEvent(transaction, { jobId, attempt }, { type: 'requeued', body: { error, delayMs } });
}

/**
 * Lets a running attempt rest until the job is resumed.
 * @returns false when another attempt owns the job, or it is to be cancelled: nothing was written
 */
export async function pauseJob(
  transaction: ControlTransaction,
  { jobId, attempt }: Attempt,
): Promise<boolean> {
  const paused = await transaction.$executeRaw`
    update job set state = 'paused', worker = null, heartbeat_at = null
     where id = ${jobId}::uuid and attempt = ${attempt} and state = 'running' and cancel_requested_at is null`;
  if (paused === 0) return false;
  return appendEvent(transaction, { jobId, attempt }, { type: 'paused', body: {} });
}

/**
 * Puts a paused job back into the queue; the entry for its next attempt is to be added then.
 * @returns false when it is not paused: nothing was written
 */
export async function resumeJob(
  transaction: ControlTransaction,
  { jobId, attempt }: Attempt,
  requestedBy: string,
): Promise<boolean> {
  const resumed = await transaction.$executeRaw`
    update job set state = 'queued', due_at = now() where id = ${jobId}::uuid and attempt = ${attempt} and state = 'paused'`;
  if (resumed === 0) return false;
  return appendEvent(transaction, { jobId, attempt }, { type: 'resumed', body: { requestedBy } });
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

const column = (value: unknown): string | null => (value === null ? null : JSON.stringify(toJson(value)));

/**
 * Dates, bigints and undefined as JSON has them. PostgreSQL's jsonb takes neither NUL nor half a surrogate pair, which
 * a text that was cut may end in: both become U+FFFD.
 */
export const toJson = (value: unknown): Prisma.InputJsonValue =>
  JSON.parse(JSON.stringify(value, storable)) as Prisma.InputJsonValue;

function storable(_: string, item: unknown): unknown {
  if (typeof item === 'bigint') return Number(item);
  return typeof item === 'string' ? item.replace(/\0|\p{Surrogate}/gu, '\ufffd') : item;
}
