import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { asOurselves } from './history.ts';
import type { Ledger } from './ledger.ts';
import type { PlannedMigration } from './plan.ts';
import { isEffective, type Segment } from './segments.ts';
import { StepFailure, UnrecordedStep } from './step-failure.ts';

/** Where a migration stood when a segment failed. */
export interface FailedRun {
  readonly session: Session;
  readonly migration: PlannedMigration;
  readonly text: string;
  readonly signal: AbortSignal;
  readonly ledger: Ledger;
  /** Whether the history has an unfinished row of this attempt. */
  readonly opened: boolean;
  readonly done: readonly Segment[];
  /** The segment that failed, and those after it. */
  readonly left: readonly Segment[];
  /** Invalid indexes of the failed statement that could not be dropped. */
  readonly leftovers: readonly string[];
}

/** The connection is gone: nothing can be written, and the server has rolled back what was not committed. */
export const isLost = (thrown: unknown): boolean => {
  const error = thrown instanceof StepFailure ? thrown.error : thrown;
  return error instanceof AppError && error.code === 'DATABASE_UNREACHABLE';
};

/** A worker that shuts down, or was replaced, writes nothing: its successor settles what is there. */
export const leavesToSuccessor = (signal: AbortSignal): boolean =>
  signal.aborted &&
  signal.reason instanceof AppError &&
  (signal.reason.code === 'JOB_INTERRUPTED' || signal.reason.code === 'JOB_SUPERSEDED');

/** Writes a failure into the history, and says what is left in the database. Returns what is to be thrown. */
export async function recordFailure(run: FailedRun, thrown: unknown): Promise<unknown> {
  if (leavesToSuccessor(run.signal)) return run.signal.reason;
  if (thrown instanceof UnrecordedStep) return unrecorded(run, thrown.error);
  const failure = failureOf(run, thrown);
  if (!(failure instanceof AppError)) return failure;
  if (isLost(failure)) return lost(run, failure);
  const blockers = thrown instanceof StepFailure ? thrown.blockers : '';
  // Whatever failed may have left a transaction open, in which nothing can be written.
  await run.session.query('rollback');
  const logs = [
    failure.message,
    ...(blockers === '' ? [] : [`In the way: ${blockers}.`]),
    ...run.leftovers.map((index) => `The invalid index ${index} could not be dropped and remains.`),
  ].join(' ');
  const { code } = run.signal.aborted ? cancellation(run, failure) : failure;
  return run.done.length === 0 && run.leftovers.length === 0 && !mayCommitItself(run)
    ? rolledBackWhole(run, failure, code, logs)
    : halfApplied(run, failure, code, logs);
}

/** What was thrown, without our wrapping; an abort without a reason of ours is a cancellation. */
function failureOf({ signal, migration }: FailedRun, thrown: unknown): unknown {
  if (thrown instanceof StepFailure) return thrown.error;
  return thrown instanceof AppError || !signal.aborted ? thrown : cancellation({ signal, migration }, thrown);
}

const cancellation = (
  { signal, migration }: Pick<FailedRun, 'signal' | 'migration'>,
  cause: unknown,
): AppError =>
  signal.reason instanceof AppError
    ? signal.reason
    : new AppError('JOB_CANCELLED', `${migration.name} was cancelled.`, {}, { cause });

/** Nothing is written: the journal's intent without an outcome is settled from the catalogue by the next attempt. */
const unrecorded = (run: FailedRun, failure: AppError): AppError =>
  new AppError(
    failure.code,
    `${failure.message} A statement of ${run.migration.name} had taken effect before, and this could not be written into the journal. ` +
      `${again[run.ledger.direction]}: it looks at what is there and goes on.`,
    { ...failure.details, migration: run.migration.name },
    { cause: failure },
  );

async function rolledBackWhole(
  run: FailedRun,
  failure: AppError,
  code: AppError['code'],
  logs: string,
): Promise<AppError> {
  const { session, ledger, opened } = run;
  const sql = ledger.undone(opened, logs);
  if (sql.length > 0) await session.query(asOurselves(...sql));
  return new AppError(
    code,
    `${logs} ${ledger.direction === 'forth' ? 'The migration was rolled back whole: nothing of it is left.' : 'Nothing of the rollback is left: the migration is applied as before.'}`,
    { ...failure.details, migration: run.migration.name },
    { cause: failure },
  );
}

async function halfApplied(
  run: FailedRun,
  failure: AppError,
  code: AppError['code'],
  logs: string,
): Promise<AppError> {
  await recordFailed(run, logs);
  return new AppError(
    run.ledger.direction === 'forth' ? 'MIGRATION_HALF_APPLIED' : 'ROLLBACK_UNFINISHED',
    `${logs} ${standing(run, run.done, mayCommitItself(run) ? run.left.slice(0, 1) : [])}`,
    {
      ...failure.details,
      migration: run.migration.name,
      because: code,
      applied: linesOf(run.done),
      notApplied: linesOf(run.left),
    },
    { cause: failure },
  );
}

function lost(run: FailedRun, failure: AppError): AppError {
  return new AppError(
    'DATABASE_UNREACHABLE',
    `${failure.message} ${run.migration.name} was under way: what it had committed is in the database's history and journal, ` +
      `the rest was rolled back by the server. ${again[run.ledger.direction]}: it reads both and goes on from there.`,
    { ...failure.details, migration: run.migration.name },
    { cause: failure },
  );
}

const again = { forth: 'Deploy again', back: 'Roll back again' } as const;

/** The attempt stays failed in Prisma's eyes: something of it is in the database. */
export async function recordFailed(
  { session, ledger }: Pick<FailedRun, 'session' | 'ledger'>,
  logs: string,
): Promise<void> {
  await session.query(asOurselves(ledger.failed(logs)));
}

/** Which lines are in the database and which are not, and what to do. */
export function standing(
  { migration, ledger }: Pick<FailedRun, 'migration' | 'ledger'>,
  done: readonly Segment[],
  inPart: readonly Segment[] = [],
): string {
  const lines = linesOf(done);
  const partly = linesOf(inPart);
  const open = linesOf(migration.segments).filter((line) => !lines.includes(line) && !partly.includes(line));
  const isForth = ledger.direction === 'forth';
  return (
    `${isForth ? `${migration.name} is half applied` : `The rollback of ${migration.name} is half done`}. In the database: the statements on line(s) ${lines.join(', ') || 'none'}. ` +
    (partly.length === 0
      ? ''
      : `Possibly in part, since it may commit by itself: line(s) ${partly.join(', ')}. `) +
    `Not in it: those on line(s) ${open.join(', ') || 'none'}. ${isForth ? '' : 'Take away what is in its way and roll back again: it goes on from there. Or: '}Complete or undo it by hand, then POST /api/recoveries with "resolveApplied" or "resolveRolledBack".`
  );
}

const linesOf = (segments: readonly Segment[]): number[] =>
  segments
    .filter((segment) => isEffective(segment) && !segment.rollsBack)
    .flatMap((segment) => segment.steps.filter((step) => !step.setting).map((step) => step.line));

/** What ran alone and may commit by itself, such as a DO block with a COMMIT: its failure does not tell what is left. */
const mayCommitItself = ({ left: [failed] }: FailedRun): boolean =>
  failed?.runs === 'alone' && failed.steps.some((step) => step.commitsItself);
