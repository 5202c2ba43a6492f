import { AppError } from '../../errors.ts';
import { databaseOf } from '../databases.ts';
import { loadBundle } from '../deployments/bundles.ts';
import type { InspectDependencies } from '../deployments/inspect.ts';
import { look } from '../deployments/survey.ts';
import { asItStands, newestWayBack, type WayBack } from './way-back.ts';

export interface InspectedWayBack extends WayBack {
  readonly testedAt: Date | null;
  readonly jobId: string | null;
  readonly deploymentId: string | null;
}

/**
 * How a migration would be taken back, as far as anybody has tried or written it.
 * @throws AppError `MIGRATION_NOT_FOUND`, `WAY_BACK_NOT_FOUND`, those of `look` and `loadBundle`
 */
export async function inspectWayBack(
  deps: InspectDependencies,
  name: string,
  migration: string,
): Promise<InspectedWayBack> {
  const database = databaseOf(deps.config, name);
  const bundle = await loadBundle(deps.control, database, undefined);
  const { comparison } = await look(database, bundle);
  const found = comparison.migrations.find((one) => one.name === migration);
  if (found === undefined)
    throw new AppError('MIGRATION_NOT_FOUND', `${name} has no migration "${migration}".`, { migration });
  const files = bundle.migrations.find((one) => one.name === migration)?.files ?? new Map();
  const checksum = found.row?.checksum ?? found.checksum ?? '';
  const newest = await newestWayBack(deps.control, name, { name: migration, checksum, files });
  const way = asItStands(newest, { name: migration, checksum, files });
  if (way === null)
    throw new AppError(
      'WAY_BACK_NOT_FOUND',
      `Nobody has written a rollback.sql for ${migration}, and none was generated so far. POST /api/rollback-tests {"database": "${name}", "migrations": ["${migration}"]} generates and tries one.`,
      { migration },
    );
  if (newest === null || way !== newest) return { ...way, testedAt: null, jobId: null, deploymentId: null };
  const { createdAt: testedAt, ...tried } = newest;
  return { ...tried, testedAt };
}
