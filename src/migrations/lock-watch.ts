import type { Session } from '../db/session.ts';

/** What a backend waited for. */
export interface LockWaits {
  /** How long it was seen waiting for locks, in milliseconds. */
  readonly waitedMs: number;
  /** Who was in its way when it was last seen waiting; empty when nobody was. */
  readonly blockers: string;
  /** Whether it was cancelled because its waits added up to the limit. */
  readonly cancelled: boolean;
}

/** Shorter waits are not seen, and cost no query. */
const everyMs = 50;

/**
 * Watches from another session how long a backend waits for locks. `lock_timeout` counts for each lock anew; this adds
 * up, and cancels the backend's statement at the limit.
 */
export class LockWatch {
  readonly #observer: Session;
  readonly #pid: number;

  constructor(observer: Session, pid: number) {
    this.#observer = observer;
    this.#pid = pid;
  }

  /** Watches while the work goes on. A limit of null is none. The work's own error is thrown on. */
  async during<T>(
    limitMs: number | null,
    work: () => Promise<T>,
    waited: (waits: LockWaits) => void,
  ): Promise<T> {
    let waits: LockWaits = { waitedMs: 0, blockers: '', cancelled: false };
    let looking = Promise.resolve();
    let seenAt: number | null = null;
    const look = async (): Promise<void> => {
      const blockers = await this.#blockers();
      const now = performance.now();
      if (blockers !== null) {
        waits = { ...waits, waitedMs: waits.waitedMs + (now - (seenAt ?? now - everyMs)), blockers };
        if (limitMs !== null && waits.waitedMs > limitMs && !waits.cancelled) {
          waits = { ...waits, cancelled: true };
          await this.#observer.query('select pg_catalog.pg_cancel_backend($1)', [this.#pid]);
        }
      }
      seenAt = blockers === null ? null : now;
    };
    const timer = setInterval(() => {
      // A look that fails, because the connection is lost, ends the watching; the statement's own session tells of it.
      looking = looking.then(look).catch(() => clearInterval(timer));
    }, everyMs);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      await looking;
      waited(waits);
    }
  }

  /** Who is in the backend's way; null when it does not wait for a lock. */
  async #blockers(): Promise<string | null> {
    const { rows } = await this.#observer.query<{ blockers: string }>(
      `select coalesce((
                select string_agg(pg_catalog.format('process %s (%s, role %s, %s for %s s)', b.pid,
                         coalesce(nullif(b.application_name, ''), 'no application_name'), b.usename, b.state,
                         extract(epoch from pg_catalog.clock_timestamp() - b.xact_start)::int), ', ')
                  from pg_catalog.pg_stat_activity b where b.pid = any (pg_catalog.pg_blocking_pids(a.pid))), 'a process that is gone') as blockers
         from pg_catalog.pg_stat_activity a
        where a.pid = $1 and a.wait_event_type = 'Lock'`,
      [this.#pid],
    );
    return rows[0]?.blockers ?? null;
  }
}
