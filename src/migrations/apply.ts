import { openSession, refusePooler, refusePoolerUrl, type Session } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { refuseFaults } from './fault.ts';
import { createHistorySql, type History, readHistory } from './history.ts';
import { endOrphans, type LockWait, releaseLock, takeLock } from './locks.ts';
import { fingerprint, type Plan, type PlannedMigration, textOf } from './plan.ts';
import type { Bundle } from './read.ts';
import { type MigrationOutcome, runMigration } from './run-migration.ts';
import type { Step } from './segments.ts';
import { watchStatement } from './watch.ts';

/** What an application tells while it runs. */
export type ApplyEvent =
  | { readonly type: 'waiting'; readonly wait: LockWait }
  | { readonly type: 'orphans ended'; readonly count: number }
  | {
      readonly type: 'migration started';
      readonly migration: string;
      readonly index: number;
      readonly of: number;
    }
  | { readonly type: 'step'; readonly migration: string; readonly step: Step }
  | {
      readonly type: 'statement progress';
      readonly migration: string;
      readonly phase: string;
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: 'remark'; readonly migration: string; readonly remark: string }
  | { readonly type: 'migration applied'; readonly outcome: MigrationOutcome };

export interface ApplyRequest {
  readonly target: Target;
  readonly bundle: Bundle;
  readonly plan: Plan;
  readonly jobId: string;
  readonly lockTimeoutMs: number;
  readonly lockBudgetMs: number;
  readonly signal: AbortSignal;
  readonly report: (event: ApplyEvent) => void;
}

/** By this name a successor finds what a killed worker left running. */
export const applicationName = (jobId: string): string => `switchback:${jobId}`;

/**
 * Applies a plan. Takes both locks, looks that the history is still the one that the plan was made for, then runs one
 * migration after the other.
 * @throws AppError `PLAN_STALE`, `LOCK_TIMEOUT`, and those of the statements; what was applied before it stays applied
 */
export async function apply(request: ApplyRequest): Promise<MigrationOutcome[]> {
  refuseFaults(request.plan.faults);
  return withLocks(request, async (session, lockSession) => {
    const history = await readHistory(session, request.target.schema);
    refuseStale(history, request);
    if (!history.exists) await session.query(createHistorySql(request.target.schema, history));
    const outcomes: MigrationOutcome[] = [];
    const { migrations } = request.plan;
    let fresh = false;
    for (const [index, migration] of migrations.entries()) {
      request.signal.throwIfAborted();
      refuseLostLock(lockSession);
      request.report({
        type: 'migration started',
        migration: migration.name,
        index: index + 1,
        of: migrations.length,
      });
      const outcome = await applyOne(request, session, lockSession, migration, fresh);
      fresh = !migration.changesSession;
      outcomes.push(outcome);
      request.report({ type: 'migration applied', outcome });
    }
    return outcomes;
  });
}

/**
 * Works under the executor's lock and Prisma's. Prisma's is held by a session of its own, so that letting it go and
 * taking it again never waits behind a statement.
 * @throws AppError `DATABASE_POOLED`, `LOCK_TIMEOUT`
 */
export async function withLocks<T>(
  request: Pick<ApplyRequest, 'target' | 'jobId' | 'lockBudgetMs' | 'signal' | 'report'>,
  work: (session: Session, lockSession: Session) => Promise<T>,
): Promise<T> {
  refusePoolerUrl(request.target);
  const name = applicationName(request.jobId);
  const session = await openSession(request.target, { applicationName: name, doing: 'applying migrations' });
  const sessions = [session];
  try {
    const lockSession = await openSession(request.target, {
      applicationName: `${name}:lock`,
      doing: "holding Prisma's lock",
    });
    sessions.push(lockSession);
    await refusePooler(session, lockSession);
    const count = await endOrphans(session, name);
    if (count > 0) request.report({ type: 'orphans ended', count });
    await takeLock(session, 'executor', lockOptions(request));
    await takeLock(lockSession, 'prisma', lockOptions(request));
    return await work(session, lockSession);
  } finally {
    for (const one of sessions) await one.close();
  }
}

function refuseStale(history: History, { plan, bundle, target }: ApplyRequest): void {
  const now = fingerprint(bundle, history, plan.serverVersion);
  if (now === plan.fingerprint) return;
  throw new AppError(
    'PLAN_STALE',
    `The history of ${target.display} or the bundle changed after the plan was made. Nothing was done. Make a new plan.`,
    { planned: plan.fingerprint, found: now },
  );
}

async function applyOne(
  request: ApplyRequest,
  session: Session,
  lockSession: Session,
  migration: PlannedMigration,
  fresh: boolean,
): Promise<MigrationOutcome> {
  const file = request.bundle.migrations.find((one) => one.name === migration.name);
  if (file === undefined)
    throw new AppError('PLAN_STALE', `${migration.name} is not in the bundle. Make a new plan.`, {
      migration: migration.name,
    });
  let cancelling: Promise<void> = Promise.resolve();
  const cancel = (): void => {
    // The statement then fails with 57014, which carries the cancellation on; a failing cancel shows as a statement that goes on.
    cancelling = session.cancel().catch((error: unknown) =>
      request.report({
        type: 'remark',
        migration: migration.name,
        remark: `cancelling failed: ${String(error)}`,
      }),
    );
  };
  const watch = watchStatement(lockSession, session.pid, (progress) =>
    request.report({ type: 'statement progress', migration: migration.name, ...progress }),
  );
  request.signal.addEventListener('abort', cancel, { once: true });
  try {
    return await runMigration({
      session,
      observer: lockSession,
      schema: request.target.schema,
      jobId: request.jobId,
      migration,
      fresh,
      text: textOf(file),
      lockTimeoutMs: request.lockTimeoutMs,
      lockBudgetMs: request.lockBudgetMs,
      signal: request.signal,
      onStep: (step) => request.report({ type: 'step', migration: migration.name, step }),
      onRemark: (remark) => request.report({ type: 'remark', migration: migration.name, remark }),
      // A `prisma migrate deploy` that waits for the lock holds a snapshot, for which CONCURRENTLY would wait for ever.
      // Once it has the lock it finds our unfinished history row, stops (P3009), and lets go.
      releasePrismaLock: () => releaseLock(lockSession, 'prisma'),
      takePrismaLock: () => takeLock(lockSession, 'prisma', lockOptions(request)),
      cancelSettled: () => cancelling,
    });
  } finally {
    request.signal.removeEventListener('abort', cancel);
    await watch.stop();
  }
}

const lockOptions = (request: Pick<ApplyRequest, 'lockBudgetMs' | 'signal' | 'report'>) => ({
  budgetMs: request.lockBudgetMs,
  signal: request.signal,
  waiting: (wait: LockWait): void => request.report({ type: 'waiting', wait }),
});

function refuseLostLock(lockSession: Session): void {
  if (lockSession.alive) return;
  throw new AppError(
    'DATABASE_UNREACHABLE',
    `The session that held Prisma's lock in ${lockSession.target.display} was ended, so that \`prisma migrate\` could run beside us. What was applied so far stays applied; deploy again.`,
  );
}
