import type { DatabaseConfig } from '../../config.ts';
import type { DataMigrationSpec } from '../../data-migrations/spec.ts';
import type { Control } from '../../db/control/control.ts';
import { AppError } from '../../errors.ts';
import { dataMigrationsOf } from '../../migrations/beside.ts';
import { loadBundle } from '../deployments/bundles.ts';

/**
 * A data migration that lies beside a migration.
 * @param bundleId an uploaded bundle; the database's configured directory when undefined
 * @throws AppError `DATA_MIGRATION_NOT_FOUND`, those of `loadBundle`
 */
export async function bundledDataMigration(
  control: Control,
  database: DatabaseConfig,
  bundleId: string | undefined,
  name: string,
): Promise<DataMigrationSpec> {
  const found = dataMigrationsOf(await loadBundle(control, database, bundleId));
  const spec = found.find((one) => one.name === name)?.spec;
  if (spec !== undefined) return spec;
  const place =
    bundleId === undefined ? `The migrations directory of ${database.name}` : `Bundle ${bundleId}`;
  const names = found.map((one) => one.name).join(', ');
  throw new AppError(
    'DATA_MIGRATION_NOT_FOUND',
    `${place} has no data migration "${name}". ${names === '' ? 'It has none at all' : `It has ${names}`}: they are files <migration>/data-migrations/<name>.json.`,
    { name, bundle: bundleId ?? null },
  );
}
