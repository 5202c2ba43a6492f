import type { DatabaseConfig } from '../../config.ts';
import { withSession } from '../../db/session.ts';
import { parseTarget } from '../../db/target.ts';
import { AppError, toAppError } from '../../errors.ts';
import { probe } from '../../health/probe.ts';
import { apply } from '../../migrations/apply.ts';
import { allow, refuseFaults } from '../../migrations/fault.ts';
import type { Held, PlannedMigration } from '../../migrations/plan.ts';
import { verify } from '../../migrations/verify.ts';
import { isHandedOver } from '../aborts.ts';
import { awaitPredecessor } from '../await-predecessor.ts';
import { databaseOf } from '../databases.ts';
import type { JobContext, Progress } from '../define-job.ts';
import type { DeploymentPayload, DeploymentStep } from '../kinds/deployment.ts';
import { rehearseDeployment } from '../rehearsals/rehearse-deployment.ts';
import { begunFailure, rollBackFailed } from '../rollbacks/roll-back-failed.ts';
import { acceptPlan, approvedPlan, begunDeployment } from './accept-plan.ts';
import { type BackupFirst, backUpFirst } from './back-up-first.ts';
import { loadBundle } from './bundles.ts';
import { DeploymentDraft } from './deployment-draft.ts';
import { followStatements } from './follow-statements.ts';
import { heldError } from './hold-back.ts';
import { lookFirst } from './look-first.ts';
import { pauseForDeployment } from './pause-for-deployment.ts';
import { type Survey, surveyBundle } from './survey.ts';
import { claimForDeployment } from './table-use.ts';

type Context = JobContext<DeploymentPayload, DeploymentStep>;

export interface DeploymentResult {
  readonly database: string;
  readonly applied: readonly string[];
  readonly backup: string | null;
  /** Ids of the data migrations that were paused for it, and still are. */
  readonly pausedDataMigrations: readonly string[];
}

/** Deploys: load, plan, rehearse, preflight, backup, apply, verify, probe, report. Also what fails is reported. */
export async function runDeployment(context: Context): Promise<DeploymentResult> {
  const database = databaseOf(context.deps.config, context.job.database);
  const draft = new DeploymentDraft(context.job, database, [
    ...database.policy.allow,
    ...context.payload.allow,
  ]);
  try {
    if (context.job.attempt > 1) draft.begun = await begunDeployment(context);
    const failed = await begunFailure(context);
    if (failed !== null) {
      if (draft.begun !== null) draft.planned(draft.begun);
      throw failed;
    }
    await deploy(context, database, draft);
  } catch (error) {
    // Who takes the job over reports; this worker has lost it or goes down.
    if (isHandedOver(context.signal)) throw error;
    const told = await rollBackFailed(context, database, draft, error);
    if (isHandedOver(context.signal)) throw told;
    await draft.store(context.deps.control, toAppError(told));
    throw told;
  }
  await draft.timed('report', () => context.step('report', () => draft.store(context.deps.control, null)));
  return {
    database: database.name,
    applied: draft.appliedNames(),
    backup: draft.backupId(),
    pausedDataMigrations: draft.paused.map(({ id }) => id),
  };
}

async function deploy(context: Context, database: DatabaseConfig, draft: DeploymentDraft): Promise<void> {
  const { payload, deps } = context;
  const step = <T>(name: DeploymentStep, work: (progress: Progress) => Promise<T>): Promise<T> =>
    draft.timed(name, () => context.step(name, work));
  const planned = payload.plan === undefined ? null : await approvedPlan(context, payload.plan);
  const bundleId = payload.bundle ?? planned?.bundleId ?? undefined;
  const bundle = await step('load', () => loadBundle(deps.control, database, bundleId));
  const request = { ...deps, database, allow: payload.allow };
  const surveyed = await step('plan', async () => {
    if (context.job.attempt > 1) await awaitPredecessor(context, database);
    const found = await surveyBundle(request, bundle);
    draft.planned(found.plan);
    const plan = await acceptPlan(context, found.plan, planned);
    return { ...found, plan, busy: await claimForDeployment(context, database, plan, draft) };
  });
  draft.planned(surveyed.plan);
  const all = [...draft.earlier(), ...surveyed.plan.migrations];
  const { held } = surveyed.plan;
  if (all.length === 0) {
    if (held !== null) throw stopped(database, held, bundleId, draft);
    context.note('Nothing is pending.');
    return;
  }
  if (held !== null)
    context.note(`${held.migration} waits for data migrations: only what comes before it is applied`);
  await step('rehearse', (progress) => rehearseDeployment(context, database, surveyed, draft, progress));
  const invalidBefore = await step('preflight', () => runPreflight(context, database, surveyed, draft));
  draft.backedUp(await step('backup', (progress) => runBackup(context, database, progress)));
  await pauseForDeployment(context, surveyed.busy);
  draft.paused = surveyed.busy;
  draft.applying = true;
  await step('apply', (progress) => runApply(context, database, surveyed, draft, progress));
  await step('verify', () => runVerify(database, all, draft, invalidBefore));
  await step('probe', () => runProbe(context, database, draft));
  if (held !== null) throw stopped(database, held, bundleId, draft);
}

function stopped(
  database: DatabaseConfig,
  held: Held,
  bundle: string | undefined,
  draft: DeploymentDraft,
): AppError {
  // What was applied is right, whatever is still to come: nothing of it is rolled back.
  draft.applying = false;
  return heldError(held, { database: database.name, bundle, applied: draft.appliedNames() });
}

async function runPreflight(
  context: Context,
  database: DatabaseConfig,
  surveyed: Survey,
  draft: DeploymentDraft,
): Promise<readonly string[]> {
  const { migrations } = surveyed.plan;
  const { checks, faults, invalidIndexes } = await lookFirst(context.job.id, database, migrations);
  draft.preflight = checks;
  refuseFaults(allow(faults, draft.allowances));
  return invalidIndexes;
}

async function runBackup(
  context: Context,
  database: DatabaseConfig,
  progress: Progress,
): Promise<BackupFirst> {
  const { deps, job } = context;
  const backup = await backUpFirst(context, database, progress);
  if ('id' in backup)
    await deps.control.prisma.deployment.update({ where: { jobId: job.id }, data: { backupId: backup.id } });
  return backup;
}

async function runApply(
  context: Context,
  database: DatabaseConfig,
  surveyed: Survey,
  draft: DeploymentDraft,
  progress: Progress,
): Promise<void> {
  const { job, signal, payload } = context;
  const { lockTimeoutMs, lockBudgetMs } = database.policy;
  const follow = followStatements(context, surveyed.plan.migrations, progress, 'applied');
  await apply({
    target: parseTarget(database.url),
    bundle: surveyed.bundle,
    plan: surveyed.plan,
    jobId: job.id,
    lockTimeoutMs,
    lockBudgetMs,
    vault: {
      ...database.policy.vault,
      operation: job.id,
      backup: draft.backupId(),
      allow: draft.allowances,
    },
    restore: payload.restore === true,
    signal,
    report: (event) => {
      draft.saw(event);
      follow.report(event);
    },
  });
  follow.finished();
}

async function runVerify(
  database: DatabaseConfig,
  applied: readonly PlannedMigration[],
  draft: DeploymentDraft,
  invalidBefore: readonly string[],
): Promise<void> {
  const target = parseTarget(database.url);
  draft.verification = await withSession(
    target,
    { applicationName: 'switchback:verify', doing: 'verifying the deployment' },
    (session) => verify({ session, schema: target.schema, applied, invalidBefore }),
  );
  const failed = draft.verification.filter((check) => check.status === 'fail');
  if (failed.length > 0)
    throw new AppError(
      'VERIFICATION_FAILED',
      `The migrations were applied, but: ${failed.map((check) => check.detail).join(' ')}`,
      { checks: failed },
    );
}

async function runProbe(
  { signal }: Context,
  database: DatabaseConfig,
  draft: DeploymentDraft,
): Promise<void> {
  draft.probes = await probe(database.healthUrls, signal);
  const failed = draft.probes.filter((one) => !one.ok);
  if (failed.length > 0)
    throw new AppError(
      'PROBE_FAILED',
      `The migrations were applied and verified, but the application does not answer as it should: ${failed.map((one) => `${one.url}: ${one.output}`).join('; ')}.${database.policy.onFailure === 'halt' ? ' The database stays as it is.' : ''}`,
      { probes: failed },
    );
}
