import { setTimeout as pause } from 'node:timers/promises';
import type { Session } from '../db/session.ts';
import type { DataMigrationEvent } from './events.ts';
import { failureOf } from './failures.ts';

const budgetMs = 300_000;

/** From the fourth try on, ever less often. */
const mayBeLong = (tries: number): boolean => tries >= 4 && Math.log2(tries) % 1 === 0;

/**
 * Does something that needs a lock on a table for a moment: waited for in short tries, between which others go on. Behind a
 * vacuum some tries are longer: an autovacuum gives way (but for one against wraparound), though only to somebody who has
 * waited for `deadlock_timeout`, which a short try never does.
 * @param session in which `work` waits
 */
export async function patiently(
  session: Session,
  { signal, report }: { readonly signal: AbortSignal; readonly report: (event: DataMigrationEvent) => void },
  work: () => Promise<void>,
): Promise<void> {
  const deadline = performance.now() + budgetMs;
  for (let tries = 1; ; tries += 1) {
    try {
      await (mayBeLong(tries) && (await isVacuuming(session)) ? outwaiting(session, work) : work());
      return;
    } catch (error) {
      signal.throwIfAborted();
      const failure = failureOf(error);
      if ((failure !== 'again' && failure !== 'smaller') || performance.now() > deadline) throw error;
      report({ type: 'retrying', reason: error instanceof Error ? error.message : String(error), rows: 0 });
      await pauseOr(Math.min(5_000, 100 * 2 ** Math.min(tries, 6)), signal);
    }
  }
}

/** What a vacuum holds on its table. Whose it is only roles that may read all statistics are told. */
async function isVacuuming(session: Session): Promise<boolean> {
  const { rowCount } = await session.query(
    `select from pg_catalog.pg_locks
      where locktype = 'relation' and mode = 'ShareUpdateExclusiveLock' and granted and pid <> pg_catalog.pg_backend_pid()
        and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())`,
  );
  return rowCount > 0;
}

async function outwaiting(session: Session, work: () => Promise<void>): Promise<void> {
  const { rows } = await session.query<{ usual: string; long: string }>(
    `select pg_catalog.current_setting('lock_timeout') as usual,
       (select (setting::int + 500)::text from pg_catalog.pg_settings where name = 'deadlock_timeout') as long`,
  );
  const { usual = '0', long = '0' } = rows[0] ?? {};
  await session.query(`set lock_timeout = ${long}`);
  try {
    await work();
  } finally {
    if (session.alive) await session.query(`set lock_timeout = '${usual}'`);
  }
}

/** Pauses. @throws the signal's reason when that ends it */
export async function pauseOr(milliseconds: number, signal: AbortSignal): Promise<void> {
  await pause(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted());
}
