import { z } from 'zod';
import { runDataMigrationJob } from '../data-migrations/run.ts';
import { defineJob } from '../define-job.ts';

/** Its record has the rest: one data migration may need several jobs, if it is gone on with after a failure. */
export const dataMigrationPayload = z.strictObject({ dataMigration: z.uuid() });
export type DataMigrationPayload = z.infer<typeof dataMigrationPayload>;

export const dataMigrationSteps = ['migrate', 'validate'] as const;
export type DataMigrationStep = (typeof dataMigrationSteps)[number];

/** Changes the rows of a table, batch by batch, until all are changed and the validation has passed. */
export const dataMigration = defineJob({
  name: 'data-migration',
  queue: 'data-migrations',
  payload: dataMigrationPayload,
  steps: dataMigrationSteps,
  // Tables exclude each other, not databases: the triggers on the table refuse a second one.
  exclusive: false,
  // Each time that it is resumed is an attempt as well.
  attempts: 100,
  backoffMs: (attempt) => Math.min(600_000, attempt * 10_000),
  // It goes on where its last batch ended.
  whenInterrupted: 'resume',
  run: runDataMigrationJob,
});
