import type { DatabaseConfig } from '../config.ts';
import { parseTarget } from '../db/target.ts';
import { withLocks } from '../migrations/with-locks.ts';
import type { JobContext } from './define-job.ts';
import { noteEvent } from './deployments/follow-statements.ts';

/**
 * The statement of a worker that was killed may still be running, and commit. Whoever has held the executor's lock knows
 * that it is over: only then history and journal tell what is left to do.
 * @throws AppError `LOCK_TIMEOUT`
 */
export async function awaitPredecessor(
  context: Pick<JobContext<unknown>, 'job' | 'signal' | 'note'>,
  database: DatabaseConfig,
): Promise<void> {
  await withLocks(
    {
      target: parseTarget(database.url),
      jobId: context.job.id,
      lockBudgetMs: database.policy.lockBudgetMs,
      signal: context.signal,
      report: (event) => noteEvent(context, event),
    },
    () => Promise.resolve(),
  );
}
