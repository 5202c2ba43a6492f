import type { DatabaseConfig } from '../../config.ts';
import { withSession } from '../../db/session.ts';
import { parseTarget } from '../../db/target.ts';
import { removes } from '../../migrations/estimate-kept.ts';
import type { Fault } from '../../migrations/fault.ts';
import type { PlannedMigration } from '../../migrations/plan.ts';
import { type PreflightCheck, preflight } from '../../migrations/preflight.ts';
import { invalidIndexes } from '../../migrations/verify.ts';
import { applicationName } from '../../migrations/with-locks.ts';

export interface FirstLook {
  readonly checks: readonly PreflightCheck[];
  /** What among them stops. */
  readonly faults: readonly Fault[];
  /** Indexes that queries may not use already now. */
  readonly invalidIndexes: readonly string[];
}

/** What stands against running these texts in a database now. Reads only. */
export async function lookFirst(
  jobId: string,
  database: DatabaseConfig,
  migrations: readonly Pick<PlannedMigration, 'relations' | 'segments' | 'journalled'>[],
): Promise<FirstLook> {
  const target = parseTarget(database.url);
  return withSession(
    target,
    { applicationName: `${applicationName(jobId)}:preflight`, doing: 'looking before anything is done' },
    async (session) => {
      const checks = await preflight({
        session,
        schema: target.schema,
        relations: migrations.flatMap(({ relations }) => relations),
        waitsForSnapshots: migrations.some(({ segments }) =>
          segments.some(({ steps }) => steps.some((one) => one.waitsForSnapshots)),
        ),
        createsJournal: migrations.some(({ journalled }) => journalled),
        keeps: removes(migrations),
        ...database.policy,
      });
      return { checks, faults: checks.flatMap(faultOf), invalidIndexes: await invalidIndexes(session) };
    },
  );
}

const faultOf = (check: PreflightCheck): Fault[] =>
  check.code === undefined
    ? []
    : [{ code: check.code, severity: 'stop', migration: null, message: `${check.detail} Nothing was done.` }];
