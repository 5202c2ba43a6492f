/** Which migrations a rollback takes back. */
import { AppError } from '../../errors.ts';
import type { HistoryRow } from '../../migrations/history.ts';
import { byName } from '../../migrations/read.ts';

/** What was asked for: what a deployment applied, so many migrations, or all after one. */
export type RollbackChoice =
  | { readonly deployment: string }
  | { readonly count: number }
  | { readonly after: string };

export function choiceOf({
  deployment,
  count,
  after,
}: {
  readonly deployment?: string | undefined;
  readonly count?: number | undefined;
  readonly after?: string | undefined;
}): RollbackChoice {
  if (deployment !== undefined) return { deployment };
  return after === undefined ? { count: count ?? 1 } : { after };
}

/**
 * What is applied and may be taken back, the last applied first; a migration that is half taken back is among it.
 * @throws AppError `MIGRATION_FAILED_BEFORE` where one failed half-way: what stands on it is not known
 */
export function appliedRows(rows: readonly HistoryRow[]): HistoryRow[] {
  const failed = rows.find((row) => isOpen(row) && !row.takingBack);
  if (failed !== undefined)
    throw new AppError(
      'MIGRATION_FAILED_BEFORE',
      `${failed.name} began on ${failed.startedAt.toISOString()} and neither ended nor was resolved, so that nothing can be said of what it left. Nothing was done. ` +
        'Deploy again where that goes on with it; or look at what it left, then POST /api/recoveries with "resolveRolledBack" (its changes are gone) or "resolveApplied" (they are all there).',
      { migration: failed.name },
    );
  return rows.filter((row) => row.rolledBackAt === null).toSorted(lastFirst);
}

const isOpen = ({ finishedAt, rolledBackAt }: HistoryRow): boolean =>
  finishedAt === null && rolledBackAt === null;

/** Only the last one can be half taken back. Rows of a baseline have one time: by name, then. */
const lastFirst = (a: HistoryRow, b: HistoryRow): number =>
  Number(b.takingBack) - Number(a.takingBack) ||
  (b.finishedAt?.getTime() ?? 0) - (a.finishedAt?.getTime() ?? 0) ||
  b.startedAt.getTime() - a.startedAt.getTime() ||
  byName(b.name, a.name);

/**
 * What is taken back, always a tail of what is applied, the last one first.
 * @param applied see `appliedRows`
 * @param deployed names of what the deployment applied, where one was asked for
 * @throws AppError `MIGRATION_NOT_APPLIED`, `ROLLBACK_NOT_LAST`
 */
export function chooseRows(
  applied: readonly HistoryRow[],
  choice: RollbackChoice,
  deployed: readonly string[],
): HistoryRow[] {
  if ('count' in choice) return lastOf(applied, choice.count);
  if ('after' in choice) return behind(applied, choice.after);
  return ofDeployment(applied, choice.deployment, deployed);
}

function lastOf(applied: readonly HistoryRow[], count: number): HistoryRow[] {
  if (count > applied.length)
    throw new AppError(
      'MIGRATION_NOT_APPLIED',
      `${count} migrations were to be rolled back, and ${applied.length} are applied. Nothing was done.`,
      { count, applied: applied.length },
    );
  return applied.slice(0, count);
}

function behind(applied: readonly HistoryRow[], after: string): HistoryRow[] {
  const index = applied.findIndex(({ name }) => name === after);
  if (index === -1)
    throw new AppError(
      'MIGRATION_NOT_APPLIED',
      `${after} is not applied, so that nothing can be said to come after it. Nothing was done. GET /api/databases/:name/migrations lists what is.`,
      { migration: after },
    );
  return applied.slice(0, index);
}

function ofDeployment(
  applied: readonly HistoryRow[],
  deployment: string,
  deployed: readonly string[],
): HistoryRow[] {
  if (deployed.length === 0) return [];
  const wanted = new Set(deployed);
  const chosen = applied.filter(({ name }) => wanted.has(name));
  if (chosen.length === 0)
    throw new AppError(
      'MIGRATION_NOT_APPLIED',
      `What deployment ${deployment} applied is rolled back already: ${deployed.join(', ')}. Nothing was done.`,
      { deployment, migrations: deployed },
    );
  const last = applied.findLastIndex(({ name }) => wanted.has(name));
  const later = applied.slice(0, last).filter(({ name }) => !wanted.has(name));
  if (later.length === 0) return chosen;
  const names = later.map(({ name }) => name);
  throw new AppError(
    'ROLLBACK_NOT_LAST',
    `Deployment ${deployment} is not the last one: ${names.join(', ')} came after it and may stand on what it made. Nothing was done. ` +
      `Roll these back as well: {"count": ${last + 1}}.`,
    { deployment, later: names, count: last + 1 },
  );
}
