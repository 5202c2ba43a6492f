import type { DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import type { Fault } from '../../migrations/fault.ts';
import type { LoggedMigration, MigrationLog } from '../../migrations/migration-log.ts';
import type { PlannedMigration } from '../../migrations/plan.ts';
import { textOf } from '../../migrations/plan-migration.ts';
import type { JsonMigration } from '../analysis/analysis-tasks.ts';
import { surroundingsOf } from '../analysis/surroundings.ts';
import { databaseOf } from '../databases.ts';
import type { InspectDependencies, InspectedMigration } from './inspect.ts';
import { type Survey, survey } from './survey.ts';

/** One migration in full: its text, how it would be run, what it does, and what became of it. */
export interface MigrationDetail extends InspectedMigration {
  readonly sql: string | null;
  readonly planned: PlannedMigration | null;
  readonly faults: readonly Fault[];
  readonly analysis: Omit<JsonMigration, 'name'> | null;
  /** Of the last deployment that began it. */
  readonly log: (LoggedMigration & { readonly deployment: string }) | null;
}

/**
 * @returns null where neither bundle nor history know the migration
 * @throws AppError those of `survey`
 */
export async function inspectMigration(
  deps: InspectDependencies,
  name: string,
  migration: string,
): Promise<MigrationDetail | null> {
  const database = databaseOf(deps.config, name);
  const surveyed = await survey({ ...deps, database });
  const { bundle, comparison, plan } = surveyed;
  const found = comparison.migrations.find((one) => one.name === migration);
  if (found === undefined) return null;
  const file = bundle.migrations.find((one) => one.name === migration);
  return {
    name: migration,
    state: found.state,
    checksum: found.checksum,
    appliedAt: found.appliedAt?.toISOString() ?? null,
    logs: found.row?.logs ?? null,
    sql: file === undefined ? null : textOf(file),
    planned: plan.migrations.find((one) => one.name === migration) ?? null,
    faults: plan.faults.filter((fault) => fault.migration === migration),
    analysis: file === undefined ? null : await analysisOf(deps, database, surveyed, migration),
    log: await lastLog(deps.control, name, migration),
  };
}

/** Of one that is no longer pending: by the folder alone, since the database is what it has made of it. */
async function analysisOf(
  { analyst }: InspectDependencies,
  database: DatabaseConfig,
  { bundle, plan }: Survey,
  migration: string,
): Promise<JsonMigration | null> {
  const planned = plan.analysis?.migrations.find((one) => one.name === migration);
  if (planned !== undefined) return planned;
  const upTo = bundle.migrations.findIndex((one) => one.name === migration) + 1;
  const { text } = await analyst.analyse({
    migrations: bundle.migrations.slice(0, upTo),
    only: [migration],
    complete: true,
    surroundings: { ...(await surroundingsOf(database, null)), previousSchema: null },
    format: 'json',
    notices: true,
    directory: '',
  });
  return (JSON.parse(text) as { migrations: JsonMigration[] }).migrations[0] ?? null;
}

async function lastLog(
  { prisma }: Control,
  database: string,
  migration: string,
): Promise<MigrationDetail['log']> {
  const begun = (
    ['applied', 'failed', 'half applied', 'rolled back'] satisfies LoggedMigration['outcome'][]
  ).map((outcome) => ({
    report: { path: ['migrations'], array_contains: [{ name: migration, outcome }] },
  }));
  const found = await prisma.deployment.findFirst({
    where: { database, OR: begun },
    orderBy: { id: 'desc' },
    select: { id: true, report: true },
  });
  const report = found?.report as unknown as MigrationLog | undefined;
  const logged = report?.migrations.find(({ name }) => name === migration);
  return found === null || logged === undefined ? null : { deployment: found.id, ...logged };
}
