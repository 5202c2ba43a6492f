import type { DatabaseConfig } from '../../config.ts';
import type { DataMigrationSpec } from '../../data-migrations/spec.ts';
import { AppError } from '../../errors.ts';

type Asked = Pick<DataMigrationSpec, 'parallelism' | 'pace'> & { readonly toleratedRows?: number };

/**
 * What is asked for, within the policy of the databases that are read and written: where no pace is asked for, theirs
 * holds.
 * @throws AppError `POLICY_FORBIDS`
 */
export function withinPolicy<Wanted extends Asked>(
  asked: Wanted,
  databases: readonly Pick<DatabaseConfig, 'name' | 'policy'>[],
): Wanted {
  let { pace } = asked;
  for (const { name, policy } of databases) {
    const { parallelism, rowsPerSecond, toleratedRows } = policy.dataMigrations;
    require(name, 'parallelism', asked.parallelism, parallelism);
    require(name, 'toleratedRows', asked.toleratedRows ?? 0, toleratedRows);
    if (rowsPerSecond === null) continue;
    require(name, 'rowsPerSecond', asked.pace.rowsPerSecond ?? 0, rowsPerSecond);
    pace = { ...pace, rowsPerSecond: Math.min(rowsPerSecond, pace.rowsPerSecond ?? rowsPerSecond) };
  }
  return { ...asked, pace };
}

function require(database: string, what: string, asked: number, most: number): void {
  if (asked <= most) return;
  throw new AppError(
    'POLICY_FORBIDS',
    `The policy of ${database} allows ${what} up to ${most}, and ${asked} is asked for. Nothing was done. Ask for less.`,
    { database, what, asked, most },
  );
}
