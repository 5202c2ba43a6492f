import { backUpDatabase, findYoungVerifiedBackup } from '../backups/back-up-database.ts';
import type { DatabaseConfig } from '../config.ts';
import { withSession } from '../db/session.ts';
import { parseTarget } from '../db/target.ts';
import { AppError, toAppError } from '../errors.ts';
import { probe } from '../health/probe.ts';
import { type ApplyEvent, applicationName, apply, withLocks } from '../migrations/apply.ts';
import { allow, type Fault, refuseFaults } from '../migrations/fault.ts';
import { type PreflightCheck, preflight } from '../migrations/preflight.ts';
import { invalidIndexes, verify } from '../migrations/verify.ts';
import { acceptPlan, approvedPlan } from './accept-plan.ts';
import { loadBundle } from './bundles.ts';
import { databaseOf } from './databases.ts';
import type { JobContext, Progress } from './define-job.ts';
import { DeploymentDraft } from './deployment-draft.ts';
import type { DeploymentPayload, DeploymentStep } from './kinds/deployment.ts';
import { type Survey, surveyBundle } from './survey.ts';

type Context = JobContext<DeploymentPayload, DeploymentStep>;

export interface DeploymentResult {
  readonly database: string;
  readonly applied: readonly string[];
  readonly backup: string | null;
}

/** Deploys: load, plan, preflight, backup, apply, verify, probe, report. Also what fails is reported. */
export async function runDeployment(context: Context): Promise<DeploymentResult> {
  const database = databaseOf(context.deps.config, context.job.database);
  const draft = new DeploymentDraft(context.job, database, [
    ...database.policy.allow,
    ...context.payload.allow,
  ]);
  try {
    await deploy(context, database, draft);
  } catch (error) {
    // Who takes the job over reports; this worker has lost it or goes down.
    if (!isHandedOver(context.signal)) await draft.store(context.deps.control, toAppError(error));
    throw error;
  }
  await draft.timed('report', () => context.step('report', () => draft.store(context.deps.control, null)));
  return { database: database.name, applied: draft.appliedNames(), backup: draft.backupId() };
}

async function deploy(context: Context, database: DatabaseConfig, draft: DeploymentDraft): Promise<void> {
  const { payload, deps } = context;
  const step = <T>(name: DeploymentStep, work: (progress: Progress) => Promise<T>): Promise<T> =>
    draft.timed(name, () => context.step(name, work));
  const planned = payload.plan === undefined ? null : await approvedPlan(context, payload.plan);
  const bundle = await step('load', () =>
    loadBundle(deps.control, database, payload.bundle ?? planned?.bundleId ?? undefined),
  );
  const request = { ...deps, database, allow: payload.allow };
  const surveyed = await step('plan', async () => {
    if (context.job.attempt > 1) await awaitPredecessor(context, database);
    const found = await surveyBundle(request, bundle);
    draft.planned(found.plan);
    return { ...found, plan: await acceptPlan(context, found.plan, planned) };
  });
  draft.planned(surveyed.plan);
  if (surveyed.plan.migrations.length === 0) {
    context.note('Nothing is pending.');
    return;
  }
  const invalidBefore = await step('preflight', () => runPreflight(context, database, surveyed, draft));
  draft.backedUp(await step('backup', (progress) => runBackup(context, database, progress)));
  await step('apply', (progress) => runApply(context, database, surveyed, draft, progress));
  await step('verify', () => runVerify(database, surveyed, draft, invalidBefore));
  await step('probe', () => runProbe(context, database, draft));
}

/**
 * The statement of a worker that was killed may still be running, and commit. Whoever has held the executor's lock knows
 * that it is over: only then history and journal tell what is left to do.
 */
async function awaitPredecessor(context: Context, database: DatabaseConfig): Promise<void> {
  await withLocks(
    {
      target: parseTarget(database.url),
      jobId: context.job.id,
      lockBudgetMs: database.policy.lockBudgetMs,
      signal: context.signal,
      report: (event) => tell(context, event, () => undefined, 0, 0),
    },
    () => Promise.resolve(),
  );
}

async function runPreflight(
  { job }: Context,
  database: DatabaseConfig,
  { plan }: Survey,
  draft: DeploymentDraft,
): Promise<string[]> {
  const target = parseTarget(database.url);
  return withSession(
    target,
    { applicationName: `${applicationName(job.id)}:preflight`, doing: 'looking before deploying' },
    async (session) => {
      const checks = await preflight({
        session,
        schema: target.schema,
        relations: plan.migrations.flatMap((migration) => migration.relations),
        waitsForSnapshots: plan.migrations.some((migration) =>
          migration.segments.some((segment) => segment.steps.some((one) => one.waitsForSnapshots)),
        ),
        createsJournal: plan.needsJournal,
        ...database.policy,
      });
      draft.preflight = checks;
      refuseFaults(allow(checks.flatMap(faultOf), draft.allowances));
      return invalidIndexes(session);
    },
  );
}

const faultOf = (check: PreflightCheck): Fault[] =>
  check.code === undefined
    ? []
    : [{ code: check.code, severity: 'stop', migration: null, message: `${check.detail} Nothing was done.` }];

/** The backup that the policy asks for, or the reason why there is none. */
async function runBackup(
  context: Context,
  database: DatabaseConfig,
  progress: Progress,
): Promise<{ id: string; takenAt: string; bytes: number } | { none: string }> {
  const { deps, job, signal } = context;
  const { backup: policy } = database.policy;
  if (typeof policy === 'object' && 'never' in policy) return { none: policy.never };
  const young =
    typeof policy === 'object'
      ? await findYoungVerifiedBackup(deps.control, database.name, policy.youngerThanMinutes)
      : null;
  const record =
    young ??
    (await backUpDatabase({
      control: deps.control,
      store: deps.store,
      config: deps.config,
      database,
      jobId: job.id,
      requestedBy: job.requestedBy,
      signal,
      phase: (_, work) => work(progress),
    }));
  await deps.control.prisma.deployment.update({ where: { jobId: job.id }, data: { backupId: record.id } });
  return { id: record.id, takenAt: record.createdAt.toISOString(), bytes: Number(record.bytes ?? 0) };
}

async function runApply(
  context: Context,
  database: DatabaseConfig,
  surveyed: Survey,
  draft: DeploymentDraft,
  progress: Progress,
): Promise<void> {
  const { job, signal } = context;
  const { lockTimeoutMs, lockBudgetMs } = database.policy;
  const total = surveyed.plan.migrations.reduce(
    (sum, migration) => sum + migration.segments.reduce((steps, segment) => steps + segment.steps.length, 0),
    0,
  );
  let done = 0;
  await apply({
    target: parseTarget(database.url),
    bundle: surveyed.bundle,
    plan: surveyed.plan,
    jobId: job.id,
    lockTimeoutMs,
    lockBudgetMs,
    signal,
    report: (event) => {
      draft.saw(event);
      if (event.type === 'step') {
        progress({
          done,
          total,
          unit: 'statements',
          message: `${event.migration}, line ${event.step.line}: ${event.step.summary}`,
        });
        done = Math.min(done + 1, total);
      } else tell(context, event, progress, done, total);
    },
  });
  progress({ done: total, total, unit: 'statements' });
}

function tell(context: Context, event: ApplyEvent, progress: Progress, done: number, total: number): void {
  if (event.type === 'statement progress')
    progress({
      done,
      total,
      unit: 'statements',
      message: `${event.migration}: ${event.phase}, ${event.done} of ${event.total} blocks`,
    });
  else if (event.type !== 'step') context.note(...describe(event));
}

function describe(
  event: Exclude<ApplyEvent, { type: 'step' | 'statement progress' }>,
): [string, Record<string, unknown>?] {
  switch (event.type) {
    case 'waiting': {
      const { lock, holders, waitedMs } = event.wait;
      return [
        `Waiting for ${lock === 'prisma' ? "Prisma's migration lock" : "a predecessor's session to end"}, held by ${holders}`,
        { waitedMs },
      ];
    }
    case 'orphans ended':
      return [`Ended ${event.count} session(s) that a killed worker had left running`];
    case 'migration started':
      return [`${event.migration} (${event.index} of ${event.of})`, { migration: event.migration }];
    case 'remark':
      return [`${event.migration}: ${event.remark}`, { migration: event.migration }];
    case 'migration applied': {
      const { name, durationMs } = event.outcome;
      return [`${name} applied in ${durationMs} ms`, { migration: name, durationMs }];
    }
  }
}

async function runVerify(
  database: DatabaseConfig,
  { plan }: Survey,
  draft: DeploymentDraft,
  invalidBefore: readonly string[],
): Promise<void> {
  const target = parseTarget(database.url);
  draft.verification = await withSession(
    target,
    { applicationName: 'switchback:verify', doing: 'verifying the deployment' },
    (session) => verify({ session, schema: target.schema, applied: plan.migrations, invalidBefore }),
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
      `The migrations were applied and verified, but the application does not answer as it should: ${failed.map((one) => `${one.url}: ${one.output}`).join('; ')}. The database stays as it is.`,
      { probes: failed },
    );
}

const isHandedOver = ({ aborted, reason }: AbortSignal): boolean =>
  aborted &&
  reason instanceof AppError &&
  (reason.code === 'JOB_INTERRUPTED' || reason.code === 'JOB_SUPERSEDED');
