import type { Config, DatabaseConfig } from '../config.ts';
import { AppError } from '../errors.ts';

/** @throws AppError `DATABASE_UNKNOWN` */
export function databaseOf(config: Config, name: string | null): DatabaseConfig {
  const found = config.databases.find((database) => database.name === name);
  if (found === undefined)
    throw new AppError(
      'DATABASE_UNKNOWN',
      `No database "${name}" is registered. GET /api/databases lists those that are.`,
      { database: name },
    );
  return found;
}
