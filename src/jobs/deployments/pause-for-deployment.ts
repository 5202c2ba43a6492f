import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import { changeDataMigration } from '../data-migrations/ask-for.ts';
import { requireDataMigration } from '../data-migrations/records.ts';
import type { JobContext } from '../define-job.ts';
import type { BusyDataMigration } from './table-use.ts';

const lookEveryMs = 200;
/** A batch takes no longer than a minute. */
const patienceMs = 120_000;

/**
 * Pauses data migrations and waits until they stand still. They are left so: whoever deploys decides when they go on.
 * @throws AppError `TABLE_BUSY` where one goes on all the same; the signal's reason
 */
export async function pauseForDeployment(
  { deps, job, signal, note }: Pick<JobContext<unknown>, 'deps' | 'job' | 'signal' | 'note'>,
  busy: readonly BusyDataMigration[],
): Promise<void> {
  for (const { id } of busy) await changeDataMigration(deps, id, { paused: true }, job.requestedBy);
  for (const { id, name, table } of busy) {
    const deadline = performance.now() + patienceMs;
    while ((await requireDataMigration(deps.control, id)).job.state === 'running') {
      if (performance.now() > deadline)
        throw new AppError(
          'TABLE_BUSY',
          `The data migration "${name}" (${id}) on ${table} was to be paused, and still runs. Nothing was applied. See GET /api/data-migrations/${id}.`,
          { dataMigration: id, table },
        );
      await pause(lookEveryMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    note(`The data migration "${name}" on ${table} is paused; it is left so`, { dataMigration: id });
  }
}
