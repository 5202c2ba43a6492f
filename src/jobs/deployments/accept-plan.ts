import { toJson } from '../../db/control/job-rows.ts';
import { AppError } from '../../errors.ts';
import { type Fault, refuseFaults } from '../../migrations/fault.ts';
import type { Plan } from '../../migrations/plan.ts';
import type { JobContext } from '../define-job.ts';

type Context = Pick<JobContext<unknown>, 'deps' | 'job'>;

export interface ApprovedPlan {
  readonly fingerprint: string;
  readonly bundleId: string | null;
  /** The id of the migrations' content. */
  readonly content: unknown;
}

/** @throws AppError `PLAN_NOT_FOUND` */
export async function approvedPlan({ deps, job }: Context, id: string): Promise<ApprovedPlan> {
  const plan = await deps.control.prisma.plan.findUnique({ where: { id } });
  if (plan === null || plan.database !== job.database)
    throw new AppError(
      'PLAN_NOT_FOUND',
      `There is no plan ${id} for ${job.database}. Make one with POST /api/plans.`,
      { plan: id },
    );
  return { ...plan, content: (plan.body as { bundle?: unknown }).bundle };
}

/**
 * Decides whether a plan is carried out, and keeps it with the deployment's record if so. A later attempt finds what the
 * first one has applied: it must be the same migrations, on a history that went on; and what rules say of them was
 * decided when the first one began, since tables that it has made are now as old as any.
 * @returns the plan, with what an earlier attempt was allowed
 * @throws AppError `PLAN_STALE`, and the first fault that stops
 */
export async function acceptPlan(context: Context, plan: Plan, approved: ApprovedPlan | null): Promise<Plan> {
  const { deps, job } = context;
  const stale =
    approved !== null &&
    (job.attempt === 1 ? approved.fingerprint !== plan.fingerprint : approved.content !== plan.bundle);
  if (stale)
    throw new AppError(
      'PLAN_STALE',
      'The database or the bundle changed after the plan was made. Nothing was done. Make a new plan and look at it.',
      { planned: approved.fingerprint, found: plan.fingerprint },
    );
  const begun = job.attempt === 1 ? null : await begunDeployment(context);
  const accepted =
    begun === null ? plan : { ...plan, faults: plan.faults.map((fault) => settled(fault, plan, begun)) };
  refuseFaults(accepted.faults);
  if (begun === null)
    await deps.control.prisma.deployment.update({ where: { jobId: job.id }, data: { plan: toJson(plan) } });
  return accepted;
}

/** What an earlier attempt of this job accepted; null where none came so far. */
export async function begunDeployment({ deps, job }: Context): Promise<Plan | null> {
  const found = await deps.control.prisma.deployment.findUnique({
    where: { jobId: job.id },
    select: { plan: true },
  });
  return (found?.plan ?? null) as unknown as Plan | null;
}

function settled(fault: Fault, plan: Plan, begun: Plan): Fault {
  const checksum = plan.migrations.find(({ name }) => name === fault.migration)?.checksum;
  const same = begun.migrations.some((one) => one.name === fault.migration && one.checksum === checksum);
  return fault.rule !== undefined && fault.allowed === undefined && same
    ? { ...fault, allowed: 'Decided when the deployment began, before its worker was interrupted.' }
    : fault;
}
