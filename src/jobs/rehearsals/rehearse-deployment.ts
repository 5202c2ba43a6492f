import type { DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { allow, type Fault, refuseFaults } from '../../migrations/fault.ts';
import type { PlannedMigration } from '../../migrations/plan.ts';
import type { Bundle } from '../../migrations/read.ts';
import type { JobContext, Progress } from '../define-job.ts';
import type { DeploymentDraft } from '../deployments/deployment-draft.ts';
import type { Survey } from '../deployments/survey.ts';
import type { DeploymentPayload } from '../kinds/deployment.ts';
import { appliedRows } from '../rollbacks/choose-rollback.ts';
import { newestWaysBack, storeWayBack, type WayBack } from '../rollbacks/way-back.ts';
import { rehearse } from './rehearse.ts';
import { watchDrift } from './rehearse-drift.ts';

type Context = Pick<JobContext<DeploymentPayload>, 'job' | 'deps' | 'signal' | 'note'>;

/**
 * Rehearses what is about to be applied, and keeps the ways back with the deployment.
 * @throws AppError `SCHEMA_DRIFTED`; `REHEARSAL_FAILED` where a migration does not run; `ROLLBACK_NOT_PROVEN` where the policy requires a
 * proven way back and there is none
 */
export async function rehearseDeployment(
  context: Context,
  database: DatabaseConfig,
  { bundle, plan, history, serverVersion }: Survey,
  draft: DeploymentDraft,
  progress: Progress,
): Promise<void> {
  const { deps, job, signal, note } = context;
  const { rehearsal, rehearsalRows: rows } = database.policy;
  if (typeof rehearsal === 'object') {
    draft.rehearsed({ never: rehearsal.never });
    return;
  }
  // What is half applied was rehearsed before it was begun; now the copy would have half of it already.
  if (draft.earlier().length > 0 || plan.migrations.some(({ resumes }) => resumes !== null)) {
    const all = [...draft.earlier(), ...plan.migrations];
    const ways = await rehearsedBefore(deps.control, database.name, all, bundle);
    draft.rehearsed(ways);
    // What this deployment has begun was decided then.
    const decided = new Set([
      ...(draft.begun?.migrations ?? []).map(({ name }) => name),
      ...plan.migrations.flatMap(({ name, resumes }) => (resumes === null ? [] : [name])),
    ]);
    refuse(
      ways.filter(({ migration }) => !decided.has(migration)),
      rehearsal,
      draft,
    );
    return;
  }
  const names = plan.migrations.map(({ name }) => name);
  const migrations = names.flatMap((name) => bundle.migrations.find((one) => one.name === name) ?? []);
  const deployment = await deps.control.prisma.deployment.findUniqueOrThrow({
    where: { jobId: job.id },
    select: { id: true },
  });
  const applied = appliedRows(history.rows).toReversed();
  const expected = { ...deps, database, jobId: job.id, signal, serverVersion, applied };
  const told = new Set<string>();
  const tell = (way: WayBack): void => {
    told.add(way.migration);
    note(`${way.migration}: ${inWords(way)}`, { migration: way.migration, outcome: way.outcome });
  };
  progress({ done: 0, total: names.length, unit: 'migrations' });
  const ways = await rehearse({
    config: deps.config,
    database,
    jobId: job.id,
    migrations,
    rows,
    signal,
    ...watchDrift(expected, migrations, (faults, unknown) => {
      if (unknown !== null) note(`Whether the database has drifted is not known: ${unknown}`);
      refuseFaults(allow(faults, draft.allowances));
    }),
    async tried(way) {
      tell(way);
      progress({ done: told.size, total: names.length, unit: 'migrations' });
      await storeWayBack(deps.control, way, {
        database: database.name,
        jobId: job.id,
        deploymentId: deployment.id,
      });
    },
  });
  for (const way of ways) if (!told.has(way.migration)) tell(way);
  draft.rehearsed(ways);
  refuse(ways, rehearsal, draft);
}

function refuse(
  ways: readonly WayBack[],
  rehearsal: 'required' | 'preferred',
  { allowances }: DeploymentDraft,
): void {
  refuseFaults(
    allow(
      ways.flatMap((way) => faultOf(way, rehearsal)),
      allowances,
    ),
  );
}

/** What earlier rehearsals of these texts have come to. */
async function rehearsedBefore(
  control: Control,
  database: string,
  migrations: readonly Pick<PlannedMigration, 'name' | 'checksum'>[],
  bundle: Bundle,
): Promise<WayBack[]> {
  const known = await newestWaysBack(control, database, migrations, bundle);
  return migrations.map(
    ({ name, checksum }) =>
      known.get(name) ?? {
        ...{ migration: name, checksum, source: 'generated', sql: '', outcome: 'notRehearsed' },
        ...{ provenOn: null, compared: null },
        reasons: ['A migration is half applied: a copy of the live schema would have half of it already.'],
      },
  );
}

function inWords({ outcome, provenOn, reasons }: WayBack): string {
  const why = reasons.length === 0 ? '' : `: ${reasons.slice(0, 3).join(' ')}`;
  switch (outcome) {
    case 'proven':
      return `the way back is proven, on ${provenOn}`;
    case 'refused':
      return `there is no way back that may be used${why}`;
    case 'wrong':
      return `the way back does not give back what was there${why}`;
    case 'failed':
      return `does not run${why}`;
    case 'notRehearsed':
      return `was not rehearsed${why}`;
  }
}

function faultOf(way: WayBack, rehearsal: 'required' | 'preferred'): Fault[] {
  const { migration, outcome, reasons } = way;
  if (outcome === 'failed')
    return [
      {
        code: 'REHEARSAL_FAILED',
        severity: 'stop',
        migration,
        message: `${migration} does not run on a copy of the live schema: ${reasons.join(' ')} The database was not touched. Mend the migration; if it fails only for want of what the live database has, allow REHEARSAL_FAILED for it with a reason.`,
      },
    ];
  if (outcome === 'proven' || rehearsal === 'preferred') return [];
  return [
    {
      code: 'ROLLBACK_NOT_PROVEN',
      severity: 'stop',
      migration,
      message: `${migration}: ${inWords(way)}. The database was not touched. Its policy requires a proven way back: write a rollback.sql that holds beside the migration, or allow ROLLBACK_NOT_PROVEN for it with a reason.`,
    },
  ];
}
