import type { Session } from '../db/session.ts';

/** Seen at one look. */
export interface LockWait {
  /** Since the look before, in milliseconds. */
  readonly waitedMs: number;
  /** The processes in the way. */
  readonly blockers: string;
}

/** Shorter waits are not seen, and cost no query. */
const everyMs = 50;

/**
 * Looks from another session, while the work goes on, whether a backend waits for locks. `seen` is called for each look
 * that finds it waiting.
 */
export async function watchLocks<T>(
  observer: Session,
  pid: number,
  work: () => Promise<T>,
  seen: (wait: LockWait) => Promise<void>,
): Promise<T> {
  let looking = Promise.resolve();
  let waitingAt: number | null = null;
  const look = async (): Promise<void> => {
    const blockers = await blockersOf(observer, pid);
    const now = performance.now();
    if (blockers !== null) await seen({ waitedMs: now - (waitingAt ?? now - everyMs), blockers });
    waitingAt = blockers === null ? null : now;
  };
  const timer = setInterval(() => {
    // A look that fails, because the connection is lost, ends the watching; the work's own session tells of it.
    looking = looking.then(look).catch(() => clearInterval(timer));
  }, everyMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await looking;
  }
}

/** Who is in the backend's way; null when it does not wait for a lock. */
async function blockersOf(observer: Session, pid: number): Promise<string | null> {
  const { rows } = await observer.query<{ blockers: string }>(
    `select coalesce((
              select string_agg(pg_catalog.format('process %s (%s, role %s, %s for %s s)', b.pid,
                       coalesce(nullif(b.application_name, ''), 'no application_name'), b.usename, b.state,
                       extract(epoch from pg_catalog.clock_timestamp() - b.xact_start)::int), ', ')
                from pg_catalog.pg_stat_activity b where b.pid = any (pg_catalog.pg_blocking_pids(a.pid))), 'a process that is gone') as blockers
       from pg_catalog.pg_stat_activity a
      where a.pid = $1 and a.wait_event_type = 'Lock'`,
    [pid],
  );
  return rows[0]?.blockers ?? null;
}
