/** What stands in JSON beside a migration: which data migrations belong to it, and which it needs to have been finished. */
import { z } from 'zod';
import { dataMigrationName } from '../data-migrations/forms.ts';
import { type DataMigrationSpec, dataMigrationSpec } from '../data-migrations/spec.ts';
import { AppError } from '../errors.ts';
import { type Bundle, dataMigrationsFolder, type Migration, settingsFile } from './read.ts';

/** `migration.json`. Names of data migrations: those of this bundle, or others that are given over HTTP. */
const settings = z.strictObject({ requires: z.array(dataMigrationName).max(100).default([]) });

export interface BundledDataMigration {
  readonly name: string;
  /** In whose folder it is. */
  readonly migration: string;
  readonly spec: DataMigrationSpec;
}

/** @throws AppError `MIGRATION_FILE_INVALID` */
export function requiresOf({ name, json }: Migration): readonly string[] {
  const text = json?.get(settingsFile);
  return text === undefined ? [] : read(`${name}/${settingsFile}`, text, settings).requires;
}

/**
 * The data migrations of a bundle, in the order of their migrations.
 * @throws AppError `MIGRATION_FILE_INVALID`
 */
export function dataMigrationsOf({ migrations }: Bundle): BundledDataMigration[] {
  const found = migrations.flatMap((migration) => dataMigrationsIn(migration));
  const places = new Map<string, string>();
  for (const { name, migration } of found) {
    const other = places.get(name);
    if (other !== undefined)
      throw invalid(fileOf(migration, name), `${fileOf(other, name)} has the same name`);
    places.set(name, migration);
  }
  return found;
}

/** Reads all of it, so that what cannot be used is known before anything is done. */
export function checkBeside(bundle: Bundle): void {
  dataMigrationsOf(bundle);
  for (const migration of bundle.migrations) requiresOf(migration);
}

const fileOf = (migration: string, name: string): string =>
  `${migration}/${dataMigrationsFolder}/${name}.json`;

function dataMigrationsIn({ name: migration, json = new Map() }: Migration): BundledDataMigration[] {
  const files = [...json.keys()].filter((file) => file.startsWith(`${dataMigrationsFolder}/`));
  return files.map((file) => {
    const name = file.slice(dataMigrationsFolder.length + 1, -'.json'.length);
    const named = z.preprocess(
      (given) => (isObject(given) ? { name, ...given } : given),
      dataMigrationSpec.refine((spec) => spec.name === name, {
        path: ['name'],
        message: `its name is that of its file, ${name}`,
      }),
    );
    return { name, migration, spec: read(`${migration}/${file}`, json.get(file) ?? '', named) };
  });
}

const isObject = (given: unknown): given is object =>
  typeof given === 'object' && given !== null && !Array.isArray(given);

function read<T>(file: string, text: string, form: z.ZodType<T>): T {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw invalid(file, `it is no JSON (${(error as Error).message})`);
  }
  const parsed = form.safeParse(given);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
  throw invalid(
    file,
    issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '),
    { issues },
  );
}

const invalid = (file: string, reason: string, details: Record<string, unknown> = {}): AppError =>
  new AppError(
    'MIGRATION_FILE_INVALID',
    `${file} cannot be used: ${reason}. Nothing was done. Mend the file.`,
    {
      file,
      reason,
      ...details,
    },
  );
