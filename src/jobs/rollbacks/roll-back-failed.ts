/** `onFailure: rollBack`: what a deployment that failed has applied is taken back within its own job. */
import { v7 as newId } from 'uuid';
import type { DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { toJson } from '../../db/control/job-rows.ts';
import { AppError, toAppError } from '../../errors.ts';
import { refuseFaults } from '../../migrations/fault.ts';
import type { JobContext } from '../define-job.ts';
import type { DeploymentDraft } from '../deployments/deployment-draft.ts';
import { lookFirst } from '../deployments/look-first.ts';
import type { DeploymentPayload } from '../kinds/deployment.ts';
import { begunPlan, chooseRollback, planRollback, type RollbackPlan } from './plan-rollback.ts';
import { RollbackDraft, withRolledBack } from './rollback-draft.ts';
import { takeBackPlanned, verifyRollback } from './take-back-planned.ts';

type Context = Pick<JobContext<DeploymentPayload>, 'job' | 'deps' | 'signal' | 'payload' | 'note' | 'log'>;

/** What made an earlier attempt fail, where that one had begun to roll back; null where none had. */
export async function begunFailure({ deps, job }: Context): Promise<AppError | null> {
  const cause = job.attempt === 1 ? null : (await begunPlan(deps.control, job.id))?.cause;
  return cause === null || cause === undefined ? null : new AppError(cause.code, cause.detail, cause.details);
}

/**
 * Takes back what the deployment applied, where its policy says so.
 * @returns the deployment's error, with what was rolled back, or why nothing was
 */
export async function rollBackFailed(
  context: Context,
  database: DatabaseConfig,
  draft: DeploymentDraft,
  thrown: unknown,
): Promise<unknown> {
  const { deps, job, signal } = context;
  const begun = job.attempt === 1 ? null : await begunPlan(deps.control, job.id);
  const isDue = begun !== null || (draft.applying && draft.appliedNames().length > 0);
  if (database.policy.onFailure !== 'rollBack' || !isDue || signal.aborted) return thrown;
  const error = toAppError(thrown);
  context.note('The deployment failed: what it applied is rolled back', { code: error.code });
  const own = new RollbackDraft(job, database, draft.allowances);
  own.backup = draft.backup();
  try {
    own.plan = begun ?? (await plan(context, database, draft.appliedNames(), error));
    await rollBack(context, database, own, own.plan);
    const log = await own.store(deps.control, null);
    draft.rollback = {
      id: await recordOf(deps.control, job.id),
      rolledBack: own.rolledBack(),
      error: log.error,
    };
    return withRolledBack(error, signal, own.rolledBack());
  } catch (failure) {
    const told = withRolledBack(failure, signal, own.rolledBack());
    const id = await recordOf(deps.control, job.id);
    if (id !== null) await own.store(deps.control, told);
    draft.rollback = { id, rolledBack: own.rolledBack(), error: told.toRecord() };
    return withFailure(error, told);
  }
}

/** Finds the ways back, and makes the record by which a successor goes on. */
async function plan(
  { deps, job, signal, payload }: Context,
  database: DatabaseConfig,
  names: readonly string[],
  error: AppError,
): Promise<RollbackPlan> {
  const request = { ...deps, database, jobId: job.id, signal, allow: payload.allow };
  const deployment = await deps.control.prisma.deployment.findUniqueOrThrow({
    where: { jobId: job.id },
    select: { id: true },
  });
  const chosen = await chooseRollback(request, { deployment: deployment.id }, names);
  const made = await planRollback(request, chosen, error.toRecord());
  refuseFaults(made.faults);
  await deps.control.prisma.rollback.create({
    data: {
      id: newId(),
      jobId: job.id,
      database: database.name,
      deploymentId: deployment.id,
      plan: toJson(made),
      requestedBy: job.requestedBy,
    },
  });
  return made;
}

async function rollBack(
  context: Context,
  database: DatabaseConfig,
  own: RollbackDraft,
  made: RollbackPlan,
): Promise<void> {
  const { checks, invalidIndexes } = await lookFirst(context.job.id, database, made.migrations);
  own.preflight = checks;
  await own.timed('apply', () => takeBackPlanned(context, database, made, own, () => undefined));
  await own.timed('verify', () => verifyRollback(database, made, own, invalidIndexes));
}

async function recordOf({ prisma }: Control, jobId: string): Promise<string | null> {
  return (await prisma.rollback.findUnique({ where: { jobId }, select: { id: true } }))?.id ?? null;
}

const withFailure = (error: AppError, failure: AppError): AppError =>
  new AppError(
    error.code,
    `${error.message} It was to be rolled back, and that failed (${failure.code}): ${failure.message}`,
    {
      ...error.details,
      rollback: failure.toRecord(),
      ...(failure.details.rolledBack === undefined ? {} : { rolledBack: failure.details.rolledBack }),
    },
    { cause: error },
  );
