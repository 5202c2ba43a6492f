/** Cancelling a data migration, as its job does it. */
import { cancelDataMigration } from '../../data-migrations/control.ts';
import { AppError } from '../../errors.ts';
import { endDataMigration } from './end.ts';
import { requireDataMigration } from './records.ts';
import type { RunningDataMigration } from './run.ts';

/**
 * The batches before stand; the triggers go, and the flag is off. One that has finished by then stays so.
 * @throws AppError `JOB_CANCELLED` once that is done
 */
export async function letGoWhereCancelled({
  context,
  record,
  source,
  written,
}: RunningDataMigration): Promise<void> {
  const { deps, signal, job } = context;
  const { id, name, ended, cancelRequestedBy: by } = record;
  if (ended !== 'cancelled') {
    if (record.cancelRequestedAt === null) return;
    const places = { source: source.target, written: written === source ? null : written.target };
    if ((await cancelledOrFinished(places, id, signal)) === 'finished') return;
    await endDataMigration(deps.control, record, 'cancelled', by ?? job.requestedBy, null);
  }
  throw new AppError(
    'JOB_CANCELLED',
    `The data migration "${name}" (${id}) was cancelled${by === null ? '' : ` by ${by}`}. The batches before stand; the rest of the rows is as it was.`,
    { dataMigration: id },
  );
}

async function cancelledOrFinished(
  places: Parameters<typeof cancelDataMigration>[0],
  id: string,
  signal: AbortSignal,
): Promise<'cancelled' | 'finished'> {
  try {
    await cancelDataMigration(places, id, signal);
    return 'cancelled';
  } catch (error) {
    if (error instanceof AppError && error.code === 'DATA_MIGRATION_ENDED') return 'finished';
    throw error;
  }
}

/** What failed while somebody cancelled it is let go of as well. */
export async function cancelledMeanwhile(running: RunningDataMigration, thrown: unknown): Promise<unknown> {
  const { deps, signal } = running.context;
  if (signal.aborted) return thrown;
  try {
    const record = await requireDataMigration(deps.control, running.record.id);
    if (record.ended === null) await letGoWhereCancelled({ ...running, record });
    return thrown;
  } catch (error) {
    return error;
  }
}
