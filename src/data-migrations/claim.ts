/** Makes a data migration ours: of several workers the last one that claims it goes on with it. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { applicationName, inTransaction } from './place.ts';
import { superseded } from './progress.ts';

const pollMs = 100;
/** Sessions that were told to end, or whose client is gone, are so within a few seconds. */
const budgetMs = 30_000;

/**
 * Ends what a predecessor has left running in the database. A worker that is only believed to be dead loses its sessions
 * by it, and finds that it was superseded.
 */
export async function endOrphans(session: Session, id: string): Promise<number> {
  const { rowCount } = await session.query(
    `select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a, pg_catalog.pg_stat_activity own
      where own.pid = pg_catalog.pg_backend_pid() and a.pid <> own.pid and a.datname = own.datname
        and a.application_name = $1 and a.backend_start <= own.backend_start`,
    [applicationName(id)],
  );
  return rowCount;
}

/**
 * Takes the data migration's own lock, which this session holds as long as it lives.
 * @throws AppError `LOCK_TIMEOUT`, the signal's reason
 */
export async function lockMigration(session: Session, id: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + budgetMs;
  for (;;) {
    signal.throwIfAborted();
    const { rows } = await session.query<{ taken: boolean }>(
      "select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('switchback data migration ' || $1, 0)) as taken",
      [id],
    );
    if (rows[0]?.taken === true) return;
    if (performance.now() > deadline)
      throw new AppError(
        'LOCK_TIMEOUT',
        `Another session holds the lock of the data migration ${id} in ${session.target.display}. Nothing was done. End it with pg_terminate_backend.`,
        { dataMigration: id },
      );
    await pause(pollMs);
  }
}

/**
 * From here on no batch of a predecessor is committed: one that is just being committed is waited for, since it holds its
 * range's row, and one that comes to its end later finds another epoch there.
 * @param expected the epoch of our own last claim; null when we come for the first time
 * @throws AppError `JOB_SUPERSEDED`
 */
export async function claim(session: Session, id: string, expected: number | null): Promise<number> {
  return inTransaction(session, async () => {
    await session.query('set local lock_timeout = 0');
    const { rows } = await session.query<{ epoch: number }>(
      'update switchback.data_migration set epoch = epoch + 1 where id = $1 and ($2::integer is null or epoch = $2) returning epoch',
      [id, expected],
    );
    const epoch = rows[0]?.epoch;
    if (epoch === undefined) throw superseded(id);
    await session.query('update switchback.data_range set epoch = $2 where migration = $1', [id, epoch]);
    return epoch;
  });
}
