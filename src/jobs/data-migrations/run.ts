/** Runs a data migration from where it stands: its rows, then its validation, then its flag. */
import { type DataMigrationOutcome, runDataMigration } from '../../data-migrations/run.ts';
import type { DataMigrationSpec } from '../../data-migrations/spec.ts';
import { openThrottle } from '../../data-migrations/throttle.ts';
import { AppError, toAppError } from '../../errors.ts';
import { isHandedOver } from '../aborts.ts';
import { databaseOf } from '../databases.ts';
import { type JobContext, Paused } from '../define-job.ts';
import { claimForDataMigration } from '../deployments/table-use.ts';
import type { DataMigrationPayload, DataMigrationStep } from '../kinds/data-migration.ts';
import { endDataMigration } from './end.ts';
import { followControl } from './follow-control.ts';
import { judgeDataMigration } from './judge.ts';
import { cancelledMeanwhile, letGoWhereCancelled } from './let-go.ts';
import { storeDataMigrationLog } from './log.ts';
import { type DataMigrationRecord, requireDataMigration, specOf } from './records.ts';
import { type DataMigrationTarget, targetsOf } from './targets.ts';
import { Teller } from './tell.ts';

type Context = JobContext<DataMigrationPayload, DataMigrationStep>;

export interface DataMigrationResult {
  readonly dataMigration: string;
  readonly state: 'finished';
  /** Rows that were gone through, that were changed, and that are in the quarantine. */
  readonly scanned: number;
  readonly changed: number;
  readonly quarantined: number;
  /** What the validation says, in one sentence. */
  readonly validation: string | null;
}

export interface RunningDataMigration {
  readonly context: Context;
  readonly record: DataMigrationRecord;
  readonly spec: DataMigrationSpec;
  readonly source: DataMigrationTarget;
  /** The same object as the source where they are one database. */
  readonly written: DataMigrationTarget;
  readonly teller: Teller;
}

/**
 * @throws AppError `JOB_CANCELLED` once a cancelled one has let go of its table; `ROWS_LEFT`, `DATA_DIFFERS` where the
 * validation has not passed; those of `runDataMigration` and `check`
 */
export async function runDataMigrationJob(context: Context): Promise<DataMigrationResult | Paused> {
  const { deps, job, payload, signal } = context;
  const record = await requireDataMigration(deps.control, payload.dataMigration);
  const spec = specOf(record);
  const targets = targetsOf(deps.config, databaseOf(deps.config, job.database), spec);
  const running = { context, record, spec, ...targets, teller: new Teller(context, record.id) };
  try {
    return await run(running);
  } catch (error) {
    // Who takes the job over tells; this worker has lost it or goes down.
    if (isHandedOver(signal)) throw error;
    const told = await cancelledMeanwhile(running, error);
    await storeDataMigrationLog(running, toAppError(told));
    throw told;
  }
}

async function run(running: RunningDataMigration): Promise<DataMigrationResult | Paused> {
  const { context, record } = running;
  await letGoWhereCancelled(running);
  if (record.paused && record.cancelRequestedAt === null) return rest(record.id);
  await claimForDataMigration(running);
  const outcome = await migrate(running);
  if (outcome.state === 'finished') return finish(running, outcome);
  const now = await requireDataMigration(context.deps.control, record.id);
  await letGoWhereCancelled({ ...running, record: now });
  return rest(record.id);
}

/** Somebody who resumes or cancels it changes the record before he looks at the job. */
const rest = (id: string): Paused =>
  new Paused(async (transaction) => {
    await transaction.$executeRaw`select from data_migration where id = ${id}::uuid for update`;
    const { paused, cancelRequestedAt } = await transaction.dataMigration.findUniqueOrThrow({
      where: { id },
    });
    return paused && cancelRequestedAt === null;
  });

async function migrate(
  running: RunningDataMigration,
): Promise<Pick<DataMigrationOutcome, 'state' | 'progress'>> {
  const { context, record, spec, source, written, teller } = running;
  const { deps, log, signal } = context;
  const { id } = record;
  const follower = await followControl({ control: deps.control, written: written.target, log }, record);
  // A validation knows no pause: it ends, and is begun anew.
  const validating = AbortSignal.any([signal, follower.stopped]);
  const allWritten = gate();
  const rowsTold = gate();
  const rests = new AppError('JOB_INTERRUPTED', 'The data migration stands still.');
  const ran = runDataMigration({
    id,
    spec,
    source: source.target,
    written: written === source ? null : written.target,
    transforms: deps.config.transforms,
    throttle: (limits) =>
      openThrottle({
        databases: (written === source ? [source] : [source, written]).map(({ database, target }) => ({
          ...{ name: database.name, target },
          limits: () => ({ ...database.policy.throttle, ...limits() }),
        })),
        applicationName: `switchback:${id}`,
        tell: teller.throttle,
      }),
    signal: AbortSignal.any([signal, follower.unbegun]),
    report: teller.report,
    // Its step begins when that of the rows has ended.
    async validate(work) {
      allWritten.open();
      await rowsTold.passed;
      await judgeDataMigration(running, work, validating);
    },
  });
  try {
    await teller.step('migrate', async (progress) => {
      teller.progress = progress;
      const paused = await Promise.race([ran, allWritten.passed]);
      // The step has not finished then.
      if (paused?.state === 'paused') throw rests;
    });
    rowsTold.open();
    return await ran;
  } catch (error) {
    if (!signal.aborted && (error === rests || error === follower.stopped.reason))
      return { state: 'paused', progress: teller.last };
    throw error;
  } finally {
    await follower.stop();
    await teller.flush();
  }
}

/** Something that is waited for. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

async function finish(
  running: RunningDataMigration,
  { progress }: Pick<DataMigrationOutcome, 'progress'>,
): Promise<DataMigrationResult> {
  const { context, record } = running;
  const { control } = context.deps;
  const { validation } = await endDataMigration(
    control,
    record,
    'finished',
    context.job.requestedBy,
    progress,
  );
  await storeDataMigrationLog(running, null);
  const { scanned, changed, quarantined } = progress;
  const says = (validation as { says?: string } | null)?.says ?? null;
  return { dataMigration: record.id, state: 'finished', scanned, changed, quarantined, validation: says };
}
