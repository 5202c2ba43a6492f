import { z } from 'zod';
import { retryRows } from '../data-migrations/retry-rows.ts';
import { defineJob } from '../define-job.ts';

export const dataMigrationRetryPayload = z.strictObject({
  dataMigration: z.uuid(),
  rows: z
    .array(z.string().regex(/^[1-9]\d{0,17}$/, 'the id of a row in the quarantine'))
    .min(1)
    .max(1_000)
    .optional(),
});
export type DataMigrationRetryPayload = z.infer<typeof dataMigrationRetryPayload>;

/** Tries rows of a quarantine once more. */
export const dataMigrationRetry = defineJob({
  name: 'data-migration-retry',
  queue: 'data-migrations',
  payload: dataMigrationRetryPayload,
  steps: ['retry'],
  exclusive: false,
  attempts: 3,
  backoffMs: (attempt) => attempt * 10_000,
  // Each row that is changed is noted in the same transaction.
  whenInterrupted: 'resume',
  run: retryRows,
});
