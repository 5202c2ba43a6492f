import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { defineJob } from '../define-job.ts';
import { runRollbackTest } from '../rehearsals/test-rollbacks.ts';

export const rollbackTestPayload = z.strictObject({
  bundle: z.string().min(1).max(64).optional(),
  migrations: z.array(z.string().min(1).max(255)).min(1).max(1_000).optional(),
  rows: z.enum(['none', 'generated', 'sample', 'full']).default('generated'),
});
export type RollbackTestPayload = z.infer<typeof rollbackTestPayload>;

/** Proves the ways back of migrations in scratch databases. It fails where one is not proven. */
export const rollbackTest = defineJob({
  name: 'rollback-test',
  queue: 'operations',
  payload: rollbackTestPayload,
  steps: ['load', 'rehearse'],
  // It only reads the database, and works in another one.
  exclusive: false,
  attempts: 1,
  backoffMs: () => 0,
  // It starts over, in a scratch database of its own.
  whenInterrupted: 'resume',
  record({ id: jobId, database, payload, requestedBy }) {
    return {
      table: 'rollback_test',
      row: {
        id: newId(),
        job_id: jobId,
        database,
        bundle_id: payload.bundle ?? null,
        requested_by: requestedBy,
      },
    };
  },
  run: runRollbackTest,
});
