/** Records of data migrations. Where one stands in its rows is in the database that it writes, under the same id. */
import type { Control as Wanted } from '../../data-migrations/progress.ts';
import { dataMigrationSpec } from '../../data-migrations/spec.ts';
import type { Control } from '../../db/control/control.ts';
import type { DataMigration, Job, Prisma } from '../../db/control/generated/client.ts';
import { AppError } from '../../errors.ts';

/**
 * - `waiting`: its job is in the queue
 * - `paused`: somebody asked for it, or stopped its job; it can be gone on with, as after `failed`
 * - `finished`: every row was gone through, and the validation has passed
 */
export type DataMigrationState = 'waiting' | 'running' | 'paused' | 'failed' | 'finished' | 'cancelled';

export const dataMigrationStates = [
  'waiting',
  'running',
  'paused',
  'failed',
  'finished',
  'cancelled',
] as const satisfies readonly DataMigrationState[];

export type DataMigrationRecord = DataMigration & { readonly job: Job };

/** What is wanted of a data migration while it runs; a worker sees to it within a second or two. */
export type WantedControl = Pick<Wanted, 'parallelism' | 'pace' | 'limits'>;

/** What one is that others wait for. */
export interface DataMigrationSummary {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly jobId: string;
  readonly state: DataMigrationState;
  readonly validation: 'passed' | 'failed' | null;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

const unfinished: Readonly<Record<string, DataMigrationState>> = {
  queued: 'waiting',
  running: 'running',
  failed: 'failed',
};

/** What ends is written in the record; before that it is as its job is. */
export function stateOf({ ended, job }: Pick<DataMigrationRecord, 'ended' | 'job'>): DataMigrationState {
  if (ended === 'finished' || ended === 'cancelled') return ended;
  return unfinished[job.state] ?? 'paused';
}

/** The same as a condition on records. */
export function inState(state: DataMigrationState): Prisma.DataMigrationWhereInput {
  if (state === 'finished' || state === 'cancelled') return { ended: state };
  const [jobState] = Object.entries(unfinished).find(([, of]) => of === state) ?? [];
  const job = jobState === undefined ? { notIn: Object.keys(unfinished) } : jobState;
  return { ended: null, job: { state: job } };
}

/** @throws AppError `DATA_MIGRATION_NOT_FOUND` */
export async function requireDataMigration(control: Control, id: string): Promise<DataMigrationRecord> {
  const record = await findDataMigration(control, id);
  if (record === null) throw notFound(id);
  return record;
}

export const notFound = (id: string): AppError =>
  new AppError('DATA_MIGRATION_NOT_FOUND', `There is no data migration ${id}.`, { dataMigration: id });

/** @throws AppError `DATA_MIGRATION_ENDED` */
export function requireUncancelled({ id, name, ended }: DataMigration): void {
  if (ended === 'cancelled') throw endedAlready({ id, name, ended });
}

export const endedAlready = ({ id, name, ended }: Pick<DataMigration, 'id' | 'name' | 'ended'>): AppError =>
  new AppError(
    'DATA_MIGRATION_ENDED',
    `The data migration "${name}" (${id}) is ${ended}: nothing of it can be changed any more. Begin a new one to go through the rows again.`,
    { dataMigration: id, state: ended },
  );

/** Null where there is none. */
export const findDataMigration = (control: Control, id: string): Promise<DataMigrationRecord | null> =>
  control.prisma.dataMigration.findUnique({ where: { id }, include: { job: true } });

/** The newest of this name in a database (the one that is read), whatever became of it; null where there is none. */
export async function latestByName(
  control: Control,
  database: string,
  name: string,
): Promise<DataMigrationSummary | null> {
  const found = await control.prisma.dataMigration.findFirst({
    where: { database, name },
    orderBy: { id: 'desc' },
    include: { job: true },
  });
  return found === null ? null : summaryOf(found);
}

export function summaryOf(record: DataMigrationRecord): DataMigrationSummary {
  const { id, name, kind, jobId, createdAt, endedAt } = record;
  return { id, name, kind, jobId, state: stateOf(record), validation: verdictOf(record), createdAt, endedAt };
}

function verdictOf({ validation }: DataMigration): 'passed' | 'failed' | null {
  if (validation === null) return null;
  return (validation as { passed?: unknown }).passed === true ? 'passed' : 'failed';
}

/** What it is to do, with what is wanted of it by now. */
export const specOf = ({ spec, control }: Pick<DataMigration, 'spec' | 'control'>) =>
  dataMigrationSpec.parse({ ...(spec as object), ...(control as object) });
