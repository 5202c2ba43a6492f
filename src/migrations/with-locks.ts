import {
  openSession,
  refusePooler,
  refusePoolerUrl,
  type Session,
  type SessionOptions,
} from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import type { ApplyEvent } from './apply-event.ts';
import { endOrphans, type LockWait, takeLock } from './locks.ts';

export interface LockRequest {
  readonly target: Target;
  readonly jobId: string;
  readonly lockBudgetMs: number;
  readonly signal: AbortSignal;
  readonly report: (event: ApplyEvent) => void;
  /** Where sessions come from; new ones each time, where it is not given. */
  readonly sessions?: SessionSource;
}

export interface SessionSource {
  open(options: SessionOptions): Promise<Session>;
  close(session: Session): Promise<void>;
}

/** By this name a successor finds what a killed worker left running. */
export const applicationName = (jobId: string): string => `switchback:${jobId}`;

/**
 * Works under the executor's lock and Prisma's. Prisma's is held by a session of its own, so that letting it go and
 * taking it again never waits behind a statement.
 * @throws AppError `DATABASE_POOLED`, `LOCK_TIMEOUT`
 */
export async function withLocks<T>(
  request: LockRequest,
  work: (session: Session, lockSession: Session) => Promise<T>,
): Promise<T> {
  refusePoolerUrl(request.target);
  const name = applicationName(request.jobId);
  const source = request.sessions ?? newSessions(request.target);
  const session = await source.open({ applicationName: name, doing: 'applying migrations' });
  const sessions = [session];
  try {
    const lockSession = await source.open({
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
    for (const one of sessions) await source.close(one);
  }
}

const newSessions = (target: Target): SessionSource => ({
  open: (options) => openSession(target, options),
  close: (session) => session.close(),
});

export const lockOptions = (request: Pick<LockRequest, 'lockBudgetMs' | 'signal' | 'report'>) => ({
  budgetMs: request.lockBudgetMs,
  signal: request.signal,
  waiting: (wait: LockWait): void => request.report({ type: 'waiting', wait }),
});

export function refuseLostLock(lockSession: Session): void {
  if (lockSession.alive) return;
  throw new AppError(
    'DATABASE_UNREACHABLE',
    `The session that held Prisma's lock in ${lockSession.target.display} was ended, so that \`prisma migrate\` could run beside us. What was applied so far stays applied; deploy again.`,
  );
}
