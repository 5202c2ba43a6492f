import { z } from 'zod';
import { undoDataMigration } from '../data-migrations/undo.ts';
import { defineJob } from '../define-job.ts';

export const dataMigrationUndoPayload = z.strictObject({ dataMigration: z.uuid() });
export type DataMigrationUndoPayload = z.infer<typeof dataMigrationUndoPayload>;

/** Gives a table that a shadow has taken the place of its place back. */
export const dataMigrationUndo = defineJob({
  name: 'data-migration-undo',
  queue: 'data-migrations',
  payload: dataMigrationUndoPayload,
  steps: ['undo'],
  exclusive: false,
  attempts: 3,
  backoffMs: (attempt) => attempt * 10_000,
  // The tables change places in one transaction, and foreign keys are validated one by one.
  whenInterrupted: 'resume',
  run: undoDataMigration,
});
