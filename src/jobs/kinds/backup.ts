import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { backUpDatabase } from '../../backups/back-up-database.ts';
import { databaseOf } from '../databases.ts';
import { defineJob } from '../define-job.ts';

export interface BackupResult {
  readonly backupId: string;
  readonly key: string | null;
  readonly bytes: number;
  readonly sha256: string | null;
}

/** Dumps one database into the store and reads the dump back. */
export const backup = defineJob({
  name: 'backup',
  queue: 'operations',
  payload: z.strictObject({}),
  steps: ['dump', 'verify'],
  exclusive: false,
  attempts: 3,
  backoffMs: (attempt) => attempt * 10_000,
  // It starts over: nothing of an unfinished backup is kept.
  whenInterrupted: 'resume',
  record({ id: jobId, database, requestedBy }) {
    return {
      table: 'backup',
      row: { id: newId(), job_id: jobId, database, state: 'creating', requested_by: requestedBy },
    };
  },
  async run({ job, deps, signal, step }): Promise<BackupResult> {
    const { id, key, bytes, sha256 } = await backUpDatabase({
      control: deps.control,
      store: deps.store,
      config: deps.config,
      database: databaseOf(deps.config, job.database),
      jobId: job.id,
      requestedBy: job.requestedBy,
      signal,
      phase: step,
    });
    return { backupId: id, key, bytes: Number(bytes), sha256 };
  },
});
