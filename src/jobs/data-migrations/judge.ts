import { check, type Judgement } from '../../data-migrations/check.ts';
import type { Work } from '../../data-migrations/define-kind.ts';
import { toJson } from '../../db/control/job-rows.ts';
import { AppError } from '../../errors.ts';
import type { RunningDataMigration } from './run.ts';

/**
 * Validates what a data migration has written, and keeps what came of it.
 * @throws AppError `ROWS_LEFT`, `DATA_DIFFERS` where it has not passed; those of `check`
 */
export async function judgeDataMigration(
  { context, record, spec, source, written, teller }: RunningDataMigration,
  work: Work,
  signal: AbortSignal,
): Promise<void> {
  const { id } = record;
  const redacted = [source, written].some(({ database }) => database.policy.validation.values === 'redacted');
  const judgement = await teller.step('validate', (progress) =>
    check(
      {
        ...{ id, spec, signal },
        source: source.target,
        written: written === source ? null : written.target,
        names: { source: source.database.name, written: written.database.name },
        values: redacted ? 'redacted' : 'shown',
        phase: (_, part) => part(progress),
      },
      work,
    ),
  );
  await teller.flush();
  await context.deps.control.prisma.dataMigration.update({
    where: { id },
    data: { validation: toJson({ ...judgement, at: new Date() }) },
  });
  if (!judgement.passed) throw notPassed(record, judgement);
  context.note(`The validation has passed: ${judgement.says}`, { by: judgement.by });
}

function notPassed({ id, name }: { id: string; name: string }, judgement: Judgement): AppError {
  return new AppError(
    judgement.by === 'rows-left' ? 'ROWS_LEFT' : 'DATA_DIFFERS',
    `The data migration "${name}" went through all rows, but its validation has not passed: ${judgement.says}. What was written stands, its flag stays off. GET /api/data-migrations/${id} lists them; put them right and resume, or cancel.`,
    { dataMigration: id, by: judgement.by, quarantined: judgement.quarantined },
  );
}
