/** Rows at fault, in the database that a data migration writes. */
import type { Config } from '../../config.ts';
import { mendRow } from '../../data-migrations/mend.ts';
import { listQuarantined, type QuarantinedRow } from '../../data-migrations/quarantine.ts';
import { hasDataMigrations } from '../../data-migrations/schema.ts';
import { withSession } from '../../db/session.ts';
import { databaseOf } from '../databases.ts';
import { type DataMigrationRecord, requireUncancelled, specOf } from './records.ts';
import { targetsOf } from './targets.ts';

export type { QuarantinedRow };

/**
 * Those after an id, in the order in which they were found.
 * @throws AppError `DATABASE_UNKNOWN`, `DATABASE_UNREACHABLE`
 */
export async function readQuarantine(
  config: Config,
  record: DataMigrationRecord,
  page: { readonly after?: string; readonly limit: number },
): Promise<QuarantinedRow[]> {
  const { written } = targetsOf(config, databaseOf(config, record.database), specOf(record));
  const naming = { applicationName: 'switchback:control', doing: 'listing rows at fault' };
  return withSession(written.target, naming, async (session) =>
    (await hasDataMigrations(session)) ? listQuarantined(session, record.id, page) : [],
  );
}

/** @throws AppError `DATA_MIGRATION_ENDED` where it was cancelled, and those of `mendRow` */
export async function mendQuarantined(
  config: Config,
  record: DataMigrationRecord,
  row: string,
  set: Readonly<Record<string, string | null>>,
): Promise<QuarantinedRow> {
  requireUncancelled(record);
  const spec = specOf(record);
  const { source, written } = targetsOf(config, databaseOf(config, record.database), spec);
  return mendRow({
    ...{ id: record.id, spec, source: source.target, row, set },
    written: written === source ? null : written.target,
  });
}
