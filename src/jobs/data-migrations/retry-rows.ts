import { readStatus } from '../../data-migrations/control.ts';
import { type RetryOutcome, retryQuarantined } from '../../data-migrations/retry.ts';
import { toJson } from '../../db/control/job-rows.ts';
import { databaseOf } from '../databases.ts';
import type { JobContext } from '../define-job.ts';
import type { DataMigrationRetryPayload } from '../kinds/data-migration-retry.ts';
import { requireDataMigration, requireUncancelled, specOf } from './records.ts';
import { targetsOf } from './targets.ts';

/** @throws AppError `DATA_MIGRATION_ENDED` where it was cancelled, and those of `retryQuarantined` */
export async function retryRows(
  context: JobContext<DataMigrationRetryPayload, 'retry'>,
): Promise<RetryOutcome> {
  const { deps, job, payload, signal, step } = context;
  const record = await requireDataMigration(deps.control, payload.dataMigration);
  requireUncancelled(record);
  const { id } = record;
  const spec = specOf(record);
  const { source, written } = targetsOf(deps.config, databaseOf(deps.config, job.database), spec);
  const outcome = await step('retry', () =>
    retryQuarantined({
      ...{ id, spec, source: source.target, written: written === source ? null : written.target, signal },
      transforms: deps.config.transforms,
      ...(payload.rows === undefined ? {} : { rows: payload.rows }),
    }),
  );
  const { progress } = await readStatus(written.target, id);
  // While it runs its own progress has the rate.
  if (record.job.state !== 'running')
    await deps.control.prisma.dataMigration.update({ where: { id }, data: { progress: toJson(progress) } });
  return outcome;
}
