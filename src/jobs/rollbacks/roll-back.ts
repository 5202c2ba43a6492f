import type { DatabaseConfig } from '../../config.ts';
import { toJson } from '../../db/control/job-rows.ts';
import { AppError } from '../../errors.ts';
import { probe } from '../../health/probe.ts';
import { allow, refuseFaults } from '../../migrations/fault.ts';
import { conflictsOf } from '../../migrations/rollback-log.ts';
import { isHandedOver } from '../aborts.ts';
import { awaitPredecessor } from '../await-predecessor.ts';
import { databaseOf } from '../databases.ts';
import type { JobContext, Progress } from '../define-job.ts';
import { backUpFirst } from '../deployments/back-up-first.ts';
import { lookFirst } from '../deployments/look-first.ts';
import type { RollbackPayload, RollbackStep } from '../kinds/rollback.ts';
import { choiceOf } from './choose-rollback.ts';
import { begunPlan, chooseRollback, planRollback, type RollbackPlan } from './plan-rollback.ts';
import { RollbackDraft, withRolledBack } from './rollback-draft.ts';
import { takeBackPlanned, verifyRollback } from './take-back-planned.ts';

type Context = JobContext<RollbackPayload, RollbackStep>;

export interface RollbackResult {
  readonly database: string;
  /** In the order in which they were: the migration that was applied last comes first. */
  readonly rolledBack: readonly string[];
  readonly backup: string | null;
  /** Rows and values that the application changed since, and that were left as they are. */
  readonly conflicts: number;
}

/** Rolls back: load, plan, preflight, backup, apply, verify, probe, report. Also what fails is reported. */
export async function runRollback(context: Context): Promise<RollbackResult> {
  const { deps, payload, job, signal } = context;
  const database = databaseOf(deps.config, job.database);
  const draft = new RollbackDraft(job, database, [...database.policy.allow, ...payload.allow]);
  draft.deployment = payload.deployment ?? null;
  try {
    await rollBack(context, database, draft);
  } catch (error) {
    // Who takes the job over reports; this worker has lost it or goes down.
    if (isHandedOver(signal)) throw error;
    const told = withRolledBack(error, signal, draft.rolledBack());
    await draft.store(deps.control, told);
    throw told;
  }
  const log = await draft.timed('report', () =>
    context.step('report', () => draft.store(deps.control, null)),
  );
  return {
    database: database.name,
    rolledBack: draft.rolledBack(),
    backup: draft.backupId(),
    conflicts: log.migrations.reduce((sum, one) => sum + conflictsOf(one), 0),
  };
}

async function rollBack(context: Context, database: DatabaseConfig, draft: RollbackDraft): Promise<void> {
  const { payload, deps, job, signal } = context;
  const step = <T>(name: RollbackStep, work: (progress: Progress) => Promise<T>): Promise<T> =>
    draft.timed(name, () => context.step(name, work));
  const begun = job.attempt === 1 ? null : await begunPlan(deps.control, job.id);
  const request = { ...deps, database, jobId: job.id, signal, allow: payload.allow };
  const chosen = await step('load', async () => {
    if (job.attempt > 1) await awaitPredecessor(context, database);
    return begun === null ? chooseRollback(request, choiceOf(payload)) : null;
  });
  const plan = await step('plan', async () => {
    const made = chosen === null ? null : await planRollback(request, chosen);
    draft.plan = begun ?? made;
    return accept(context, begun, made);
  });
  if (plan.migrations.length === 0) {
    draft.backup = { none: 'Nothing was to be rolled back.' };
    context.note('Nothing is to be rolled back.');
    return;
  }
  const { invalidIndexes } = await step('preflight', async () => {
    const look = await lookFirst(job.id, database, plan.migrations);
    draft.preflight = look.checks;
    refuseFaults(allow(look.faults, draft.allowances));
    return look;
  });
  draft.backup = await step('backup', (progress) => backUpFirst(context, database, progress));
  await step('apply', (progress) => takeBackPlanned(context, database, plan, draft, progress));
  await step('verify', () => verifyRollback(database, plan, draft, invalidIndexes));
  await step('probe', () => runProbe(context, database, draft));
}

/** Decides whether a plan is carried out, and keeps it if so: a successor goes on with the same texts. */
async function accept(
  { deps, job }: Context,
  begun: RollbackPlan | null,
  made: RollbackPlan | null,
): Promise<RollbackPlan> {
  if (begun !== null) return begun;
  const plan = made ?? { migrations: [], faults: [], cause: null };
  refuseFaults(plan.faults);
  await deps.control.prisma.rollback.update({ where: { jobId: job.id }, data: { plan: toJson(plan) } });
  return plan;
}

async function runProbe({ signal }: Context, database: DatabaseConfig, draft: RollbackDraft): Promise<void> {
  draft.probes = await probe(database.healthUrls, signal);
  const failed = draft.probes.filter((one) => !one.ok);
  if (failed.length > 0)
    throw new AppError(
      'PROBE_FAILED',
      `The migrations were rolled back and verified, but the application does not answer as it should: ${failed.map((one) => `${one.url}: ${one.output}`).join('; ')}. The database stays as it is.`,
      { probes: failed },
    );
}
