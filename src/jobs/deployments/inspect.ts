import { v7 as newId } from 'uuid';
import type { Allowance, Config } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { toJson } from '../../db/control/job-rows.ts';
import { type ErrorRecord, toAppError } from '../../errors.ts';
import type { MigrationState } from '../../migrations/compare.ts';
import type { Fault } from '../../migrations/fault.ts';
import type { Plan } from '../../migrations/plan.ts';
import type { Analyst } from '../analysis/analyst.ts';
import { databaseOf } from '../databases.ts';
import { newestWaysBack, type WayBack } from '../rollbacks/way-back.ts';
import { type Survey, survey } from './survey.ts';

export interface InspectDependencies {
  readonly config: Config;
  readonly control: Control;
  readonly analyst: Analyst;
}

/** One migration as the database and the bundle see it. */
export interface InspectedMigration {
  readonly name: string;
  readonly state: MigrationState;
  readonly checksum: string | null;
  readonly appliedAt: string | null;
  /** Of the last attempt that failed. */
  readonly logs: string | null;
}

/** A registered database as it is now. */
export interface DatabaseState {
  readonly name: string;
  readonly environment: string;
  readonly serverVersion: string | null;
  /** Why it could not be read, else null. */
  readonly error: ErrorRecord | null;
  readonly counts: Readonly<Partial<Record<MigrationState, number>>>;
  readonly migrations: readonly InspectedMigration[];
  readonly faults: readonly Fault[];
}

/**
 * Looks at a registered database now: which migrations are applied, pending, failed, and what stands against deploying.
 * A database or a directory that cannot be read is an answer, not an error.
 * @throws AppError `DATABASE_UNKNOWN`
 */
export async function inspectDatabase(
  deps: InspectDependencies,
  name: string,
  options: { bundleId?: string } = {},
): Promise<DatabaseState> {
  const database = databaseOf(deps.config, name);
  const base = { name, environment: database.environment };
  try {
    const { comparison, plan, serverVersion } = await survey({
      ...deps,
      database,
      bundleId: options.bundleId,
    });
    return {
      ...base,
      serverVersion,
      error: null,
      counts: countStates(comparison.migrations.map((migration) => migration.state)),
      migrations: comparison.migrations.map(({ name: migration, state, checksum, appliedAt, row }) => ({
        name: migration,
        state,
        checksum,
        appliedAt: appliedAt?.toISOString() ?? null,
        logs: row?.logs ?? null,
      })),
      faults: plan.faults,
    };
  } catch (error) {
    const known = toAppError(error);
    if (known.code === 'INTERNAL') throw error;
    return { ...base, serverVersion: null, error: known.toRecord(), counts: {}, migrations: [], faults: [] };
  }
}

function countStates(states: readonly MigrationState[]): Partial<Record<MigrationState, number>> {
  const counts: Partial<Record<MigrationState, number>> = {};
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** A plan that was made and kept: `id` can be given to a deployment. */
export interface StoredPlan {
  readonly id: string;
  readonly database: string;
  readonly createdAt: Date;
  readonly requestedBy: string;
  readonly plan: Plan;
}

/**
 * A dry run: plans what is pending, and keeps the plan.
 * @throws AppError those of `survey`
 */
export async function planDatabase(
  deps: InspectDependencies,
  name: string,
  options: { bundleId?: string | undefined; allow?: readonly Allowance[]; requestedBy: string },
): Promise<StoredPlan> {
  const { plan, bundle }: Survey = await survey({
    ...deps,
    database: databaseOf(deps.config, name),
    ...options,
  });
  const known = await newestWaysBack(deps.control, name, plan.migrations, bundle);
  const migrations = plan.migrations.map((one) => ({ ...one, wayBack: proofOf(known.get(one.name)) }));
  const stored = await deps.control.prisma.plan.create({
    data: {
      id: newId(),
      database: name,
      bundleId: options.bundleId ?? null,
      fingerprint: plan.fingerprint,
      body: toJson({ ...plan, migrations }),
      requestedBy: options.requestedBy,
    },
  });
  return {
    id: stored.id,
    database: name,
    createdAt: stored.createdAt,
    requestedBy: stored.requestedBy,
    plan,
  };
}

const proofOf = (
  way: WayBack | undefined,
): Pick<WayBack, 'source' | 'outcome' | 'provenOn' | 'reasons'> | null =>
  way === undefined
    ? null
    : { source: way.source, outcome: way.outcome, provenOn: way.provenOn, reasons: way.reasons };
