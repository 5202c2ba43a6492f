import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { withSession } from '../db/session.ts';
import { parseTarget } from '../db/target.ts';
import { AppError, toAppError } from '../errors.ts';
import { apply } from '../migrations/apply.ts';
import { compare } from '../migrations/compare.ts';
import { refuseFaults } from '../migrations/fault.ts';
import { readHistory } from '../migrations/history.ts';
import { makePlan } from '../migrations/plan.ts';
import { readDirectory } from '../migrations/read.ts';
import { loadParser } from '../sql/parse.ts';

const directory = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

/**
 * Brings Switchback's own tables up to date, with Switchback's own engine. Several processes may start at once: the
 * locks let one work, and the others find nothing pending.
 * @throws AppError `CONTROL_DATABASE_UNREACHABLE`, `CONTROL_DATABASE_FOREIGN`
 */
export async function prepareControl(url: string, signal: AbortSignal): Promise<void> {
  const target = parseTarget(url);
  await loadParser();
  const bundle = await readDirectory(directory);
  for (;;) {
    const plan = await withSession(
      target,
      { applicationName: 'switchback:prepare', doing: 'preparing the control database' },
      async (session) => {
        const history = await readHistory(session, target.schema);
        const comparison = compare(bundle, history, { outOfOrder: 'stop' });
        const foreign = comparison.faults.find(
          (fault) => fault.code === 'MIGRATION_MISSING' || fault.code === 'BASELINE_REQUIRED',
        );
        if (foreign !== undefined) throw foreignDatabase(target.display, foreign.migration);
        return makePlan({ bundle, history, comparison, serverVersion: '' });
      },
    ).catch(asControl);
    refuseFaults(plan.faults);
    if (plan.migrations.length === 0) return;
    try {
      await apply({
        target,
        bundle,
        plan,
        jobId: `control:${randomUUID()}`,
        lockTimeoutMs: 10_000,
        lockBudgetMs: 60_000,
        signal,
        report: () => undefined,
      });
      return;
    } catch (error) {
      // Another process was faster.
      if (toAppError(error).code !== 'PLAN_STALE') throw error;
    }
  }
}

const foreignDatabase = (database: string, migration: string | null): AppError =>
  new AppError(
    'CONTROL_DATABASE_FOREIGN',
    `${database} belongs to another application: ${migration === null ? 'it has tables but no history of ours' : `its history holds ${migration}, which is none of ours, or of a later version's`}. ` +
      'Nothing was done. Give Switchback a database of its own in SWITCHBACK_DATABASE_URL.',
    { migration },
  );

function asControl(error: unknown): never {
  const known = toAppError(error);
  throw known.code === 'DATABASE_UNREACHABLE'
    ? new AppError('CONTROL_DATABASE_UNREACHABLE', known.message, known.details, { cause: error })
    : error;
}
