import type { DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { AppError } from '../../errors.ts';
import { checksum } from '../../migrations/checksum.ts';
import { isPending } from '../../migrations/plan.ts';
import { byName, type Migration } from '../../migrations/read.ts';
import { readStored } from '../deployments/bundles.ts';
import { look } from '../deployments/survey.ts';
import type { AnalysisAnswer, AnalysisRequest, Surroundings } from './analysis-tasks.ts';
import type { Analyst } from './analyst.ts';
import { surroundingsOf } from './surroundings.ts';

export interface GivenMigration {
  readonly name: string;
  readonly sql: string;
}

export interface AnalysisOrder extends Pick<AnalysisRequest, 'format' | 'notices' | 'directory'> {
  /** One text; an uploaded bundle; a folder, or some of its files. */
  readonly of:
    | { readonly kind: 'text'; readonly migration: GivenMigration }
    | { readonly kind: 'bundle'; readonly id: string }
    | { readonly kind: 'folder'; readonly migrations: readonly GivenMigration[] };
  /** Names of those that are to be judged. */
  readonly only?: readonly string[] | undefined;
  /** Whose schema, figures and policy decide. */
  readonly database: DatabaseConfig | null;
  /** Text of the Prisma schema of the release that still runs; the database's configured one when absent. */
  readonly previousSchema?: string | undefined;
}

interface Loaded {
  readonly migrations: readonly Migration[];
  readonly complete: boolean;
  readonly lockFile?: string;
}

/**
 * Judges what is given. Records nothing.
 * @throws AppError `BUNDLE_NOT_FOUND`, `MIGRATION_NOT_FOUND`, `DATABASE_UNREACHABLE`, and those of `Analyst` and of
 * `surroundingsOf`
 */
export async function analyseOrder(
  deps: { readonly control: Control; readonly analyst: Analyst },
  order: AnalysisOrder,
): Promise<AnalysisAnswer> {
  const { of, only, database, previousSchema, format, notices, directory } = order;
  const loaded = await load(deps.control, of, only !== undefined);
  requireKnown(loaded.migrations, only);
  const { migrations, surroundings } =
    database === null
      ? { migrations: loaded.migrations, surroundings: { catalogue: null, previousSchema: null } }
      : await within(database, loaded.migrations, of.kind === 'text');
  if (database !== null) requirePending(migrations, only, database.name);
  return deps.analyst.analyse({
    ...loaded,
    migrations,
    only: only ?? null,
    complete: loaded.complete || database !== null,
    surroundings: previousSchema === undefined ? surroundings : { ...surroundings, previousSchema },
    format,
    notices,
    directory,
  });
}

async function load(control: Control, of: AnalysisOrder['of'], whole: boolean): Promise<Loaded> {
  switch (of.kind) {
    case 'text':
      return { migrations: [toMigration(of.migration)], complete: false };
    case 'bundle': {
      // Without this file there would be no bundle.
      const lockFile = 'provider = "postgresql"\n';
      return { migrations: (await readStored(control, of.id)).migrations, complete: true, lockFile };
    }
    case 'folder': {
      const migrations = of.migrations.map(toMigration).sort((a, b) => byName(a.name, b.name));
      return { migrations, complete: whole };
    }
  }
}

function toMigration({ name, sql }: GivenMigration): Migration {
  const bytes = Buffer.from(sql);
  return { name, sql: bytes, checksum: checksum(bytes) };
}

/** The migrations that this database does not have, and what it is just before them. */
async function within(
  database: DatabaseConfig,
  migrations: readonly Migration[],
  isText: boolean,
): Promise<{ migrations: readonly Migration[]; surroundings: Surroundings }> {
  const { catalogue, comparison } = await look(database, { id: '', migrations }, { always: true });
  const pending = new Set(comparison.migrations.filter(isPending).map(({ name }) => name));
  return {
    migrations: isText ? migrations : migrations.filter(({ name }) => pending.has(name)),
    surroundings: await surroundingsOf(database, catalogue),
  };
}

function requireKnown(migrations: readonly Migration[], only: readonly string[] = []): void {
  const known = new Set(migrations.map(({ name }) => name));
  const unknown = only.filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new AppError(
      'MIGRATION_NOT_FOUND',
      `There is no migration ${unknown.join(', ')} in what was given.`,
      {
        migrations: unknown,
      },
    );
}

function requirePending(
  migrations: readonly Migration[],
  only: readonly string[] | undefined,
  database: string,
): void {
  const pending = new Set(migrations.map(({ name }) => name));
  const applied = only?.filter((name) => !pending.has(name)) ?? [];
  if (applied.length > 0)
    throw new AppError(
      'MIGRATION_NOT_FOUND',
      `${applied.join(', ')} is not pending in ${database}, whose tables are as it left them. Leave \`database\` out to judge it.`,
      { migrations: applied },
    );
}
