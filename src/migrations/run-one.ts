import type { Session } from '../db/session.ts';
import type { Keeping } from './keeping.ts';
import { releaseLock, takeLock } from './locks.ts';
import type { MigrationOutcome, MigrationRun } from './migration-run.ts';
import { runMigration } from './run-migration.ts';
import { watchStatement } from './watch.ts';
import { type LockRequest, lockOptions } from './with-locks.ts';

/** The sessions that hold the executor's lock and Prisma's, and what holds for all migrations of a request. */
export interface Under extends LockRequest {
  readonly session: Session;
  readonly lockSession: Session;
  readonly lockTimeoutMs: number;
  /** How what is removed is kept; without it nothing is. */
  readonly vault?: Keeping | null;
}

export type One = Pick<MigrationRun, 'migration' | 'text' | 'ledger' | 'instead' | 'fresh'>;

/** Runs one migration, or its rollback: cancelled by the request's signal, and with its progress reported. */
export async function runOne(under: Under, one: One): Promise<MigrationOutcome> {
  const { session, lockSession, report, signal, target } = under;
  const { name } = one.migration;
  let cancelling: Promise<void> = Promise.resolve();
  const cancel = (): void => {
    // The statement then fails with 57014, which carries the cancellation on; a failing cancel shows as a statement that goes on.
    cancelling = session
      .cancel()
      .catch((error: unknown) =>
        report({ type: 'remark', migration: name, remark: `cancelling failed: ${String(error)}` }),
      );
  };
  const watch = watchStatement(lockSession, session.pid, (progress) =>
    report({ type: 'statement progress', migration: name, ...progress }),
  );
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await runMigration({
      ...one,
      session,
      observer: lockSession,
      schema: target.schema,
      jobId: under.jobId,
      keeping: under.vault ?? null,
      lockTimeoutMs: under.lockTimeoutMs,
      lockBudgetMs: under.lockBudgetMs,
      signal,
      onStep: (step) => report({ type: 'step', migration: name, step }),
      onRemark: (remark) => report({ type: 'remark', migration: name, remark }),
      // A `prisma migrate deploy` that waits for the lock holds a snapshot, for which CONCURRENTLY would wait for ever.
      // Once it has the lock it finds our unfinished history row, stops (P3009), and lets go.
      releasePrismaLock: () => releaseLock(lockSession, 'prisma'),
      takePrismaLock: () => takeLock(lockSession, 'prisma', lockOptions(under)),
      cancelSettled: () => cancelling,
    });
  } finally {
    signal.removeEventListener('abort', cancel);
    await watch.stop();
  }
}
