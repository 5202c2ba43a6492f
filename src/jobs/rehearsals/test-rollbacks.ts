import type { DatabaseConfig } from '../../config.ts';
import { toJson } from '../../db/control/job-rows.ts';
import { AppError } from '../../errors.ts';
import { isPending } from '../../migrations/plan.ts';
import type { Bundle } from '../../migrations/read.ts';
import { databaseOf } from '../databases.ts';
import type { JobContext, Progress } from '../define-job.ts';
import { loadBundle } from '../deployments/bundles.ts';
import { look } from '../deployments/survey.ts';
import type { RollbackTestPayload } from '../kinds/rollback-test.ts';
import { appliedRows } from '../rollbacks/choose-rollback.ts';
import { tryNow } from '../rollbacks/find-ways-back.ts';
import { storeWayBack, type WayBack } from '../rollbacks/way-back.ts';
import { rehearse } from './rehearse.ts';

type Context = JobContext<RollbackTestPayload, 'load' | 'rehearse'>;
type Outcome = Omit<WayBack, 'sql' | 'compared'>;

export interface RollbackTestResult {
  readonly database: string;
  readonly proven: number;
  readonly migrations: readonly Outcome[];
}

/**
 * Tries the ways back of what is pending, on a copy of the live schema, or of the migrations that are named; those that
 * are applied stand on what the migrations before them make.
 * @throws AppError `MIGRATION_NOT_FOUND`; `REHEARSAL_FAILED`, `ROLLBACK_NOT_PROVEN` of what was tried
 */
export async function runRollbackTest(context: Context): Promise<RollbackTestResult> {
  const { job, payload, deps, step } = context;
  const database = databaseOf(deps.config, job.database);
  const bundle = await step('load', () => loadBundle(deps.control, database, payload.bundle));
  const ways = await step('rehearse', (progress) => test(context, database, bundle, progress));
  const migrations = ways.map(({ migration, checksum, source, outcome, provenOn, reasons }) => ({
    ...{ migration, checksum, source, outcome, provenOn, reasons },
  }));
  await deps.control.prisma.rollbackTest.update({
    where: { jobId: job.id },
    data: { outcome: toJson({ migrations: ways }) },
  });
  refuse(migrations);
  return { database: database.name, proven: migrations.length, migrations };
}

async function test(
  { job, payload, deps, signal, note }: Context,
  database: DatabaseConfig,
  bundle: Bundle,
  progress: Progress,
): Promise<WayBack[]> {
  const { history, comparison } = await look(database, bundle);
  const pending = comparison.migrations.filter(isPending).map(({ name }) => name);
  const wanted = payload.migrations ?? pending;
  const rows = appliedRows(history.rows);
  const unknown = wanted.find((name) => !pending.includes(name) && !rows.some((row) => row.name === name));
  if (unknown !== undefined)
    throw new AppError(
      'MIGRATION_NOT_FOUND',
      `${unknown} is neither pending nor applied in ${database.name}. Nothing was tried.`,
      { migration: unknown },
    );
  if (wanted.length === 0) note('Nothing is pending.');
  const last = pending.findLastIndex((name) => wanted.includes(name));
  const ahead = pending
    .slice(0, last + 1)
    .flatMap((name) => bundle.migrations.find((one) => one.name === name) ?? []);
  const by = { database: database.name, jobId: job.id, deploymentId: null };
  const open = rows.filter(({ name }) => wanted.includes(name));
  const total = ahead.length + open.length;
  const told = new Set<string>();
  const tell = (way: WayBack): void => {
    told.add(way.migration);
    note(`${way.migration}: ${way.outcome}`, { migration: way.migration, outcome: way.outcome });
    progress({ done: told.size, total, unit: 'migrations' });
  };
  progress({ done: 0, total, unit: 'migrations' });
  const tried = async (way: WayBack): Promise<void> => {
    tell(way);
    if (wanted.includes(way.migration)) await storeWayBack(deps.control, way, by);
  };
  const request = { config: deps.config, database, jobId: job.id, rows: payload.rows, signal };
  const coming = ahead.length === 0 ? [] : await rehearse({ ...request, migrations: ahead, tried });
  const first = open[0];
  if (first !== undefined && (payload.rows === 'sample' || payload.rows === 'full'))
    note('What is applied is tried with generated rows: those of the database are past it.');
  const back =
    first === undefined
      ? new Map<string, WayBack>()
      : await tryNow(
          {
            control: deps.control,
            database,
            jobId: job.id,
            rows: rows.slice(rows.indexOf(first)),
            applied: rows,
            bundle,
            tables: payload.rows === 'none' ? 'none' : 'generated',
            tried: tell,
            signal,
          },
          open,
        );
  const untold = open
    .filter(({ name }) => !back.has(name))
    .map(({ name, checksum }): WayBack => {
      const reasons = ['The migrations from which the database was made are not all in the bundle.'];
      return {
        ...{ migration: name, checksum, source: 'generated', sql: '', outcome: 'notRehearsed' },
        ...{ provenOn: null, reasons, compared: null },
      };
    });
  const ways = [...back.values(), ...untold, ...coming.filter(({ migration }) => wanted.includes(migration))];
  for (const way of ways) if (!told.has(way.migration)) tell(way);
  return ways;
}

/** A gate is to fail where something is not proven. */
function refuse(migrations: readonly Outcome[]): void {
  const open = migrations.filter(({ outcome }) => outcome !== 'proven');
  const [first] = open;
  if (first === undefined) return;
  const failed = open.find(({ outcome }) => outcome === 'failed');
  const { migration, outcome, reasons } = failed ?? first;
  throw new AppError(
    failed === undefined ? 'ROLLBACK_NOT_PROVEN' : 'REHEARSAL_FAILED',
    `${migration} is ${outcome === 'notRehearsed' ? 'not rehearsed' : outcome}: ${reasons.slice(0, 3).join(' ')} Of ${migrations.length} migration(s) ${migrations.length - open.length} are proven. Nothing but scratch databases was touched. Write a rollback.sql that holds beside it.`,
    { migration, migrations },
  );
}
