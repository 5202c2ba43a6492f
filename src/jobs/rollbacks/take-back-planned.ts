import type { DatabaseConfig } from '../../config.ts';
import { withSession } from '../../db/session.ts';
import { parseTarget } from '../../db/target.ts';
import { AppError } from '../../errors.ts';
import { readHistory } from '../../migrations/history.ts';
import { takeBack } from '../../migrations/take-back.ts';
import { verifyTakenBack } from '../../migrations/verify.ts';
import { loadParser } from '../../sql/parse.ts';
import type { JobContext, Progress } from '../define-job.ts';
import { followStatements } from '../deployments/follow-statements.ts';
import type { RollbackPlan } from './plan-rollback.ts';
import type { RollbackDraft } from './rollback-draft.ts';

type Context = Pick<JobContext<unknown>, 'job' | 'signal' | 'note' | 'deps' | 'log'>;

/**
 * Takes back what a plan holds; what an earlier attempt of the job has taken back is passed over.
 * @throws AppError those of `takeBack`; the draft then knows what is rolled back all the same
 */
export async function takeBackPlanned(
  context: Context,
  database: DatabaseConfig,
  plan: RollbackPlan,
  draft: RollbackDraft,
  progress: Progress,
): Promise<void> {
  const { job, signal, deps, log } = context;
  const { lockTimeoutMs, lockBudgetMs, vault } = database.policy;
  const follow = followStatements(context, plan.migrations, progress, 'rolled back');
  await loadParser();
  if (job.attempt > 1) await draft.recall(deps.control);
  let stored: Promise<unknown> = Promise.resolve();
  try {
    await takeBack({
      target: parseTarget(database.url),
      reversals: plan.migrations,
      jobId: job.id,
      lockTimeoutMs,
      lockBudgetMs,
      vault: { ...vault, operation: job.id, backup: draft.backupId(), allow: draft.allowances },
      resumes: job.attempt > 1,
      signal,
      report: (event) => {
        draft.saw(event);
        if (event.type === 'migration applied')
          stored = stored
            .then(() => draft.store(deps.control, null))
            .catch((error: unknown) =>
              log.warn({ err: error }, 'the log of a rollback could not be written'),
            );
        follow.report(event);
      },
    });
    follow.finished();
  } finally {
    await stored;
    await confirm(context, database, plan, draft);
  }
}

/** The history knows what is taken back also where an attempt was killed before it could tell. */
async function confirm(
  { log }: Context,
  database: DatabaseConfig,
  plan: RollbackPlan,
  draft: RollbackDraft,
): Promise<void> {
  const target = parseTarget(database.url);
  try {
    const { rows } = await withSession(
      target,
      { applicationName: 'switchback:survey', doing: 'reading the migration history' },
      (session) => readHistory(session, target.schema),
    );
    const gone = new Set(rows.flatMap(({ id, rolledBackAt }) => (rolledBackAt === null ? [] : [id])));
    draft.confirm(plan.migrations.filter(({ historyId }) => gone.has(historyId)).map(({ name }) => name));
  } catch (error) {
    // What failed before says more; what this attempt saw itself is known.
    log.warn({ err: error }, 'the history could not be read after a rollback');
  }
}

/** @throws AppError `VERIFICATION_FAILED` */
export async function verifyRollback(
  database: DatabaseConfig,
  plan: RollbackPlan,
  draft: RollbackDraft,
  invalidBefore: readonly string[],
): Promise<void> {
  const target = parseTarget(database.url);
  draft.verification = await withSession(
    target,
    { applicationName: 'switchback:verify', doing: 'verifying the rollback' },
    (session) =>
      verifyTakenBack({ session, schema: target.schema, takenBack: plan.migrations, invalidBefore }),
  );
  const failed = draft.verification.filter((check) => check.status === 'fail');
  if (failed.length > 0)
    throw new AppError(
      'VERIFICATION_FAILED',
      `The migrations were rolled back, but: ${failed.map((check) => check.detail).join(' ')}`,
      { checks: failed },
    );
}
