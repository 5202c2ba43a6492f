import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';

/**
 * Locks tables and views for what changes them, one after the other. All of it takes no longer than the session's
 * `lock_timeout`, so that whoever queues behind it waits no longer than that.
 * @throws AppError `LOCK_TIMEOUT`
 */
export async function lockAll(session: Session, names: readonly string[]): Promise<void> {
  const { rows } = await session.query<{ limitMs: number }>(
    `select setting::int as "limitMs" from pg_catalog.pg_settings where name = 'lock_timeout'`,
  );
  // 0: none.
  const limitMs = rows[0]?.limitMs || 3_600_000;
  const deadline = performance.now() + limitMs;
  for (const name of names) {
    const left = Math.ceil(deadline - performance.now());
    if (left < 1) throw tooLong(name, limitMs);
    await session.query(`set local lock_timeout = ${left}; lock table ${name} in access exclusive mode`);
  }
  // What is locked beyond these was not there when they were read.
  await session.query(`set local lock_timeout = ${Math.max(1, Math.ceil(deadline - performance.now()))}`);
}

const tooLong = (name: string, limitMs: number): AppError =>
  new AppError(
    'LOCK_TIMEOUT',
    `The locks that are needed, the next one on ${name}, were not granted within ${limitMs} ms. The transaction was rolled back; it is tried again.`,
    { table: name },
  );
