import { v4 as newId } from 'uuid';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { readAllEntries } from '../vault/list.ts';
import { refuseFaults } from './fault.ts';
import { createHistorySql, type History, readHistory } from './history.ts';
import type { Keeping } from './keeping.ts';
import { forth } from './ledger.ts';
import type { MigrationOutcome } from './migration-run.ts';
import { fingerprint, type Plan, type PlannedMigration } from './plan.ts';
import { textOf } from './plan-migration.ts';
import type { Bundle } from './read.ts';
import { Restorer } from './restorer.ts';
import { restoringAtEnd } from './restoring-at-end.ts';
import { madeInText } from './reversal-text.ts';
import { runOne } from './run-one.ts';
import { savedEntries } from './saved-entries.ts';
import { type LockRequest, refuseLostLock, withLocks } from './with-locks.ts';

export type { ApplyEvent } from './apply-event.ts';
export { applicationName, withLocks } from './with-locks.ts';

export interface ApplyRequest extends LockRequest {
  readonly bundle: Bundle;
  readonly plan: Plan;
  readonly lockTimeoutMs: number;
  /** How what the migrations remove is kept; without it nothing is. */
  readonly vault?: Keeping | null;
  /** Gives a migration that was rolled back the data again that its rollback saved. */
  readonly restore?: boolean;
}

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

function refuseStale(history: History, { plan, bundle, target }: ApplyRequest): void {
  const now = fingerprint(bundle, history, plan.serverVersion, plan.held);
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
  planned: PlannedMigration,
  fresh: boolean,
): Promise<MigrationOutcome> {
  const file = request.bundle.migrations.find((one) => one.name === planned.name);
  if (file === undefined)
    throw new AppError('PLAN_STALE', `${planned.name} is not in the bundle. Make a new plan.`, {
      migration: planned.name,
    });
  const { schema } = request.target;
  const { name, checksum, resumes } = planned;
  const ids = request.restore === true ? await savedEntries(session, schema, name, 'back') : [];
  const entries = await readAllEntries(session, ids);
  const text = textOf(file);
  const made = entries.length === 0 ? new Map<string, 'added' | 'emptied'>() : madeInText(text, entries);
  const restorer = new Restorer({
    session,
    entries,
    made,
    early: new Set(),
    place: null,
    namings: planned.namings,
    notNull: new Map(),
    renamed: new Map(),
    partitions: new Map(),
    identities: new Map(),
    constraints: new Map(),
    withoutKeys: undefined,
    own:
      request.vault == null
        ? null
        : { operation: request.vault.operation, migration: name, direction: 'forth' },
  });
  const outcome = await runOne(
    { ...request, session, lockSession },
    {
      migration: entries.length === 0 ? planned : restoringAtEnd(planned),
      text,
      ledger: forth(schema, { id: resumes ?? newId(), name, checksum }),
      instead: (step) => restorer.instead(step),
      fresh,
    },
  );
  return { ...outcome, restored: restorer.restored };
}
