import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Catalogue } from '../../catalogue.ts';
import type { DatabaseConfig } from '../../config.ts';
import { parseTarget } from '../../db/target.ts';
import { AppError } from '../../errors.ts';
import type { Surroundings } from './analysis-tasks.ts';

/**
 * What the analysis of a registered database's migrations knows beside them.
 * @param catalogue of the live database, or null where its figures are not asked for
 * @throws AppError `PREVIOUS_SCHEMA_UNREADABLE`
 */
export async function surroundingsOf(
  database: DatabaseConfig,
  catalogue: Catalogue | null,
): Promise<Surroundings> {
  const { previousSchema, policy, url } = database;
  return {
    catalogue,
    defaultSchema: parseTarget(url).schema,
    policy: policy.analysis,
    previousSchema: previousSchema === undefined ? null : await readSchema(database.name, previousSchema),
  };
}

/** Prisma's schema file, or the folder over which it is spread. Read each time: every release brings its own. */
async function readSchema(database: string, place: string): Promise<string> {
  try {
    if (!(await stat(place)).isDirectory()) return await readFile(place, 'utf8');
    const names = await readdir(place, { recursive: true, encoding: 'utf8' });
    const files = names.filter((name) => name.endsWith('.prisma')).sort();
    return (await Promise.all(files.map((name) => readFile(path.join(place, name), 'utf8')))).join('\n');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new AppError(
      'PREVIOUS_SCHEMA_UNREADABLE',
      `The schema of the release of ${database} that still runs, ${place}, cannot be read (${reason}). Nothing was done. Check the database's \`previousSchema\` in the configuration.`,
      { database, place },
      { cause: error },
    );
  }
}
