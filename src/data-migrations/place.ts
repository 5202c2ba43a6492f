/** Sessions of a data migration. */
import { quoteIdentifier } from '../db/quote.ts';
import { openSession, refusePoolerUrl, type Session } from '../db/session.ts';
import type { Target } from '../db/target.ts';

/** By this name a successor finds what a killed worker left running. At most 63 bytes. */
export const applicationName = (id: string): string => `switchback:${id}`;

/** A batch that takes as long as this is no batch: it is given up and tried again with fewer rows. */
const statementTimeout = '60s';

/**
 * Opens a session that executes batches. Values print so that they can be read back, in any database; a batch is planned
 * along the key's index, since of its end the planner knows nothing when it plans; what waits is bounded.
 * @throws AppError `DATABASE_UNREACHABLE`, `PERMISSION_DENIED`, `DATABASE_POOLED`
 */
export async function openPlace(target: Target, id: string, lockTimeoutMs: number): Promise<Session> {
  refusePoolerUrl(target);
  const session = await openSession(target, {
    applicationName: applicationName(id),
    doing: 'running a data migration',
  });
  try {
    await session.query(`
      set search_path = ${quoteIdentifier(target.schema)};
      set client_encoding = 'UTF8'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set timezone = 'UTC';
      set extra_float_digits = 1; set bytea_output = 'hex'; set row_security = on;
      set default_transaction_isolation = 'read committed'; set default_transaction_read_only = off;
      set enable_seqscan = off; set enable_bitmapscan = off; set jit = off;
      set statement_timeout = '${statementTimeout}'; set lock_timeout = ${lockTimeoutMs};
      set idle_in_transaction_session_timeout = '${statementTimeout}';
      set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3`);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Does it in a transaction; if it throws, the transaction is rolled back where the session is still there. */
export async function inTransaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.query('begin');
  try {
    const done = await work();
    await session.query('commit');
    return done;
  } catch (error) {
    await rollBack(session);
    throw error;
  }
}

/** What cannot be rolled back by us the server rolls back with the session. */
export async function rollBack(session: Session): Promise<void> {
  if (!session.alive) return;
  await Promise.allSettled([session.query('rollback')]);
}
