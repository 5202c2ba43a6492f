import { AppError } from '../errors.ts';
import { recordFailed, standing } from './failure.ts';
import { ensureJournal, type JournalEntry, readJournal } from './journal.ts';
import { dropLeftovers, settle } from './leftovers.ts';
import type { MigrationRun } from './migration-run.ts';
import { isEffective, type Segment, type Step } from './segments.ts';

/**
 * Settles what an attempt has done whose process is gone: the journal says which segments finished, the catalogue
 * decides about the one that was under way. The session has the settings of what is done, then.
 * @throws AppError `RESUME_REFUSED`, `STEP_UNKNOWN`
 */
export async function settleAttempt(
  run: MigrationRun,
  planned: readonly Segment[],
): Promise<{ done: Segment[]; rest: Segment[] }> {
  await ensureJournal(run.session);
  const journal = await readJournal(run.session, run.ledger.entry.id);
  const done: Segment[] = [];
  const rest: Segment[] = [];
  for (const segment of resegment(planned, journal)) {
    const entry = journal.find((one) => one.firstStatement === segment.steps[0]?.statement);
    const behind = rest.length === 0 && (!isEffective(segment) || (await isDone(run, segment, entry, done)));
    if (!behind) rest.push(segment);
    else if (!segment.rollsBack) {
      // Settings hold to the file's end; they also decide what the names in later statements mean.
      for (const step of segment.steps.filter(({ replays }) => replays))
        await run.session.query(textOf(run, step));
      if (isEffective(segment)) done.push(segment);
    }
  }
  if (run.migration.makesTemporary && done.length > 0)
    throw new AppError(
      'RESUME_REFUSED',
      `${run.migration.name} was interrupted and uses temporary tables, which went with its session. ${standing(run, done)}`,
      { migration: run.migration.name },
    );
  return { done, rest };
}

async function isDone(
  run: MigrationRun,
  segment: Segment,
  entry: JournalEntry | undefined,
  done: readonly Segment[],
): Promise<boolean> {
  if (entry === undefined) return false;
  return entry.finishedAt !== null || (await tookEffect(run, segment, entry, done));
}

const textOf = (run: MigrationRun, step: Step): string =>
  run.text.slice(step.offset, step.offset + step.length);

async function tookEffect(
  run: MigrationRun,
  segment: Segment,
  entry: JournalEntry,
  done: readonly Segment[],
): Promise<boolean> {
  const [step] = segment.steps;
  // A transaction's outcome is written in it: without one it was rolled back.
  if (!entry.runsAlone || step === undefined) return false;
  const text = textOf(run, step);
  const settled = await settle(run.session, text, entry.indexes);
  if (settled === 'done') return true;
  if (settled === 'unknown') throw await unknownStep(run, step, done);
  // Dropping waits for snapshots, too.
  await run.releasePrismaLock();
  await dropLeftovers(run.session, text, entry.indexes, run.lockBudgetMs);
  await run.takePrismaLock();
  return false;
}

async function unknownStep(run: MigrationRun, step: Step, done: readonly Segment[]): Promise<AppError> {
  const error = new AppError(
    'STEP_UNKNOWN',
    `${run.migration.name}, line ${step.line}: the worker died while this ran, and the catalogue cannot tell whether it took effect: ` +
      `${step.summary}. It is not run again by itself. ${standing(run, done)}`,
    { migration: run.migration.name, line: step.line, column: step.column },
  );
  await recordFailed(run, error.message);
  return error;
}

/** The interrupted attempt may have split segments while it ran: the journal's ranges cut them again. */
function resegment(segments: readonly Segment[], journal: readonly JournalEntry[]): Segment[] {
  const cuts = new Set(journal.flatMap((entry) => [entry.firstStatement, entry.lastStatement + 1]));
  const aloneFrom = new Set(journal.filter((entry) => entry.runsAlone).map((entry) => entry.firstStatement));
  return segments.flatMap((segment) => {
    const parts: Step[][] = [[]];
    for (const step of segment.steps) {
      if (cuts.has(step.statement) && parts.at(-1)?.length !== 0) parts.push([]);
      parts.at(-1)?.push(step);
    }
    return parts.map((steps) => ({
      ...segment,
      steps,
      runs: aloneFrom.has(steps[0]?.statement ?? 0) ? 'alone' : segment.runs,
    }));
  });
}
