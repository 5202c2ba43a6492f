import type { Config, DatabaseConfig } from '../../config.ts';
import { type DataMigrationSpec, kindOf } from '../../data-migrations/spec.ts';
import { parseTarget, type Target } from '../../db/target.ts';
import { databaseOf } from '../databases.ts';

export interface DataMigrationTarget {
  readonly database: DatabaseConfig;
  readonly target: Target;
}

/**
 * The database that is read and the one that is written: one and the same object where they are one.
 * @throws AppError `DATABASE_UNKNOWN`
 */
export function targetsOf(
  config: Config,
  database: DatabaseConfig,
  spec: DataMigrationSpec,
): { readonly source: DataMigrationTarget; readonly written: DataMigrationTarget } {
  const source = { database, target: parseTarget(database.url) };
  const name = writtenNameOf(database.name, spec);
  if (name === database.name) return { source, written: source };
  const other = databaseOf(config, name);
  return { source, written: { database: other, target: parseTarget(other.url) } };
}

/** Name of the registered database that is written. */
export const writtenNameOf = (database: string, spec: DataMigrationSpec): string =>
  kindOf(spec).writtenTo(spec) ?? database;
