/** What callers ask of data migrations. Records are changed here; the worker that runs one sees to it. */
import { v7 as newId } from 'uuid';
import type { Config, DatabaseConfig } from '../../config.ts';
import type { DataMigrationSpec } from '../../data-migrations/spec.ts';
import type { ControlTransaction } from '../../db/control/control.ts';
import type { DataMigration, Prisma } from '../../db/control/generated/client.ts';
import { insertJob, resumeJob, terminalStates, toJson } from '../../db/control/job-rows.ts';
import { databaseOf } from '../databases.ts';
import type { JobDependencies } from '../dependencies.ts';
import { type Enqueued, enqueue } from '../enqueue.ts';
import { addEntries, type DueEntry, nextEntry } from '../entries.ts';
import { turnOff } from '../flags/flags.ts';
import { dataMigration as kind } from '../kinds/data-migration.ts';
import { flagOf } from './end.ts';
import type { ControlChange } from './forms.ts';
import { withinPolicy } from './policy.ts';
import {
  type DataMigrationRecord,
  endedAlready,
  notFound,
  requireDataMigration,
  type WantedControl,
} from './records.ts';
import { writtenNameOf } from './targets.ts';

type AskDependencies = Pick<JobDependencies, 'config' | 'control' | 'queue' | 'log'>;

export interface DataMigrationRequest {
  /** Name of the registered database that is read. */
  readonly database: string;
  readonly spec: DataMigrationSpec;
  /** Key of the flag that it owns: off from here on, until the validation has passed. */
  readonly flag: string | null;
  /** Name of the token. */
  readonly requestedBy: string;
}

/** @throws AppError `POLICY_FORBIDS`, `FLAG_TAKEN`, `QUEUE_UNAVAILABLE` */
export async function askForDataMigration(
  deps: AskDependencies,
  { database, spec: asked, flag, requestedBy }: DataMigrationRequest,
): Promise<Enqueued> {
  const id = newId();
  const writtenDatabase = writtenNameOf(database, asked);
  const spec = withinPolicy(asked, databasesOf(deps.config, { database, writtenDatabase }));
  const { name, parallelism, pace, limits = {} } = spec;
  const enqueued = await enqueue(deps, {
    ...{ kind, database, payload: { dataMigration: id }, requestedBy },
    async together(transaction, jobId) {
      if (flag !== null)
        await turnOff(
          transaction,
          flagOf({ name, database, flag }, 'the data migration has not been validated', requestedBy),
        );
      await transaction.dataMigration.create({
        data: {
          ...{ id, jobId, name, kind: spec.kind, database, flag, requestedBy },
          writtenDatabase,
          spec: toJson(spec),
          control: toJson({ parallelism, pace, limits } satisfies WantedControl),
        },
      });
    },
  });
  return { ...enqueued, recordId: id };
}

/**
 * Changes how a data migration goes on; a worker that runs it sees to it within a second or two.
 * @throws AppError `DATA_MIGRATION_NOT_FOUND`, `DATA_MIGRATION_ENDED`, `POLICY_FORBIDS`
 */
export function changeDataMigration(
  deps: AskDependencies,
  id: string,
  { paused, ...change }: ControlChange,
  by: string,
): Promise<DataMigrationRecord> {
  const isChange = Object.values(change).some((value) => value !== undefined);
  return alter(deps, id, by, paused === false, (record) => ({
    ...(paused === undefined ? {} : { paused }),
    ...(isChange ? { control: toJson(merged(deps.config, record, change)), changes: { increment: 1 } } : {}),
  }));
}

/**
 * Ends a data migration for good, whatever its state: its batches stand, its triggers go. Cancelled already, it is left
 * as it is.
 * @throws AppError `DATA_MIGRATION_NOT_FOUND`, `DATA_MIGRATION_ENDED` where it has finished
 */
export async function cancelDataMigrationJob(
  deps: AskDependencies,
  id: string,
  by: string,
): Promise<DataMigrationRecord> {
  const record = await requireDataMigration(deps.control, id);
  if (record.ended === 'cancelled') return record;
  return alter(deps, id, by, true, ({ cancelRequestedAt, cancelRequestedBy }) => ({
    cancelRequestedAt: cancelRequestedAt ?? new Date(),
    cancelRequestedBy: cancelRequestedBy ?? by,
  }));
}

function merged(config: Config, record: DataMigration, change: Omit<ControlChange, 'paused'>): WantedControl {
  const now = record.control as unknown as WantedControl;
  const pace = Object.entries(change.pace ?? {}).filter(([, value]) => value !== undefined);
  const wanted = {
    parallelism: change.parallelism ?? now.parallelism,
    pace: { ...now.pace, ...Object.fromEntries(pace) },
    limits: change.limits ?? now.limits,
  };
  return withinPolicy(wanted, databasesOf(config, record));
}

const databasesOf = (
  config: Config,
  { database, writtenDatabase }: Pick<DataMigration, 'database' | 'writtenDatabase'>,
): DatabaseConfig[] => [...new Set([database, writtenDatabase])].map((name) => databaseOf(config, name));

/** @param wakes whether a job has to run for it: a paused one is resumed, after one that is over there is another */
async function alter(
  deps: AskDependencies,
  id: string,
  by: string,
  wakes: boolean,
  dataOf: (record: DataMigration) => Prisma.DataMigrationUpdateInput,
): Promise<DataMigrationRecord> {
  const entries = await deps.control.prisma.$transaction(async (transaction) => {
    // The record before its job: so does whoever pauses the job.
    await transaction.$executeRaw`select from data_migration where id = ${id}::uuid for update`;
    const record = await transaction.dataMigration.findUnique({ where: { id } });
    if (record === null) throw notFound(id);
    if (record.ended !== null) throw endedAlready(record);
    await transaction.dataMigration.update({ where: { id }, data: dataOf(record) });
    return wakes ? wake(transaction, record, by) : [];
  });
  await addEntries(deps, entries);
  return requireDataMigration(deps.control, id);
}

async function wake(
  transaction: ControlTransaction,
  { id, jobId, database }: DataMigration,
  by: string,
): Promise<DueEntry[]> {
  await transaction.$executeRaw`select from job where id = ${jobId}::uuid for update`;
  const job = await transaction.job.findUniqueOrThrow({ where: { id: jobId } });
  if (job.state === 'paused') {
    await resumeJob(transaction, { jobId, attempt: job.attempt }, by);
    return [nextEntry(job)];
  }
  if (!terminalStates.includes(job.state)) return [];
  const { name, queue, exclusive } = kind;
  const next = { id: newId(), kind: name, queue, database, exclusive, requestedBy: by };
  await insertJob(transaction, { ...next, payload: { dataMigration: id } }, null);
  await transaction.dataMigration.update({ where: { id }, data: { jobId: next.id } });
  return [nextEntry({ id: next.id, queue, attempt: 0 })];
}
