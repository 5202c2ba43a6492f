import { backUpDatabase, findYoungVerifiedBackup } from '../../backups/back-up-database.ts';
import type { DatabaseConfig } from '../../config.ts';
import type { MigrationLog } from '../../migrations/migration-log.ts';
import type { JobContext, Progress } from '../define-job.ts';

/** A verified backup, or the reason why there is none. */
export type BackupFirst = MigrationLog['backup'];

/**
 * The backup that a database's policy asks for before anything in it is changed.
 * @throws AppError those of `backUpDatabase`
 */
export async function backUpFirst(
  { deps, job, signal }: Pick<JobContext<unknown>, 'deps' | 'job' | 'signal'>,
  database: DatabaseConfig,
  progress: Progress,
): Promise<BackupFirst> {
  const { backup: policy } = database.policy;
  if (typeof policy === 'object' && 'never' in policy) return { none: policy.never };
  const young =
    typeof policy === 'object'
      ? await findYoungVerifiedBackup(deps.control, database.name, policy.youngerThanMinutes)
      : null;
  const record =
    young ??
    (await backUpDatabase({
      control: deps.control,
      store: deps.store,
      config: deps.config,
      database,
      jobId: job.id,
      requestedBy: job.requestedBy,
      signal,
      phase: (_, work) => work(progress),
    }));
  return { id: record.id, takenAt: record.createdAt.toISOString(), bytes: Number(record.bytes ?? 0) };
}
