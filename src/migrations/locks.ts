import { setTimeout as pause } from 'node:timers/promises';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';

/** The lock that Prisma's engine takes for `migrate deploy`. Source: prisma-engines, flavour/postgres. */
export const prismaLock = 72707369;
/** Ours, held by the session that executes: whoever has it knows that its predecessor's backend is gone. */
export const executorLock = 7410_2026_0001;

const pollMs = 100;

export interface LockWait {
  readonly lock: 'prisma' | 'executor';
  /** Who holds it: processes with their application names. */
  readonly holders: string;
  readonly waitedMs: number;
}

/**
 * Takes a session-level advisory lock by polling: a statement that waits would hold a snapshot meanwhile, for which
 * CREATE INDEX CONCURRENTLY in another session would wait in turn.
 * @throws AppError `LOCK_TIMEOUT` naming the holder
 */
export async function takeLock(
  session: Session,
  lock: LockWait['lock'],
  options: { budgetMs: number; signal: AbortSignal; waiting: (wait: LockWait) => void },
): Promise<void> {
  const key = lock === 'prisma' ? prismaLock : executorLock;
  const startedAt = performance.now();
  for (let polls = 0; ; polls += 1) {
    options.signal.throwIfAborted();
    const { rows } = await session.query<{ taken: boolean }>(
      'select pg_catalog.pg_try_advisory_lock($1) as taken',
      [key],
    );
    if (rows[0]?.taken === true) return;
    const waitedMs = Math.round(performance.now() - startedAt);
    if (waitedMs >= options.budgetMs) throw lockTimeout(lock, await holdersOf(session, key), waitedMs);
    if (polls % 50 === 0) options.waiting({ lock, holders: await holdersOf(session, key), waitedMs });
    await pauseUnlessAborted(pollMs, options.signal);
  }
}

/** Pauses; an abort ends it with the signal's own reason. */
export async function pauseUnlessAborted(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await pause(milliseconds, undefined, { signal });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

export async function releaseLock(session: Session, lock: LockWait['lock']): Promise<void> {
  await session.query('select pg_catalog.pg_advisory_unlock($1)', [
    lock === 'prisma' ? prismaLock : executorLock,
  ]);
}

/** A bigint key is shown in pg_locks as its upper and lower half. */
async function holdersOf(session: Session, key: number): Promise<string> {
  const { rows } = await session.query<{ holder: string }>(
    `select pg_catalog.format('process %s (%s)', a.pid, coalesce(nullif(a.application_name, ''), 'no application_name')) as holder
       from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
        and l.classid = ($1::bigint >> 32)::int::oid and l.objid = ($1::bigint & 4294967295)::oid`,
    [key],
  );
  return rows.map((row) => row.holder).join(', ') || 'nobody now';
}

function lockTimeout(lock: LockWait['lock'], holders: string, waitedMs: number): AppError {
  const who =
    lock === 'prisma'
      ? "Prisma's migration lock (another `prisma migrate` runs, or hangs)"
      : "Switchback's own lock (another worker's statement is still running)";
  return new AppError(
    'LOCK_TIMEOUT',
    `${who} was not free for ${Math.round(waitedMs / 1000)} s; it is held by ${holders}. Nothing was done. Wait for it, or end it with pg_terminate_backend.`,
    { lock, holders, waitedMs },
  );
}

/** Ends the backends that a killed worker left behind with this job's application name; returns their number. */
export async function endOrphans(session: Session, applicationName: string): Promise<number> {
  const { rowCount } = await session.query(
    `select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
      where application_name = any ($1) and datname = current_database() and pid <> pg_catalog.pg_backend_pid() and backend_start < $2::timestamptz`,
    [[applicationName, `${applicationName}:lock`], await backendStart(session)],
  );
  return rowCount;
}

async function backendStart(session: Session): Promise<string> {
  const { rows } = await session.query<{ start: string }>(
    'select backend_start::text as start from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid()',
  );
  return rows[0]?.start ?? 'epoch';
}
