import { z } from 'zod';
import { defineJob } from '../define-job.ts';
import { checkDrift } from '../drift/drift.ts';

/** Holds a database's live schema against what its applied migrations make. Its result is what `GET …/drift` shows. */
export const driftCheck = defineJob({
  name: 'drift-check',
  queue: 'operations',
  payload: z.strictObject({}),
  steps: ['replay', 'read', 'compare'],
  // It only reads the database.
  exclusive: false,
  attempts: 1,
  backoffMs: () => 0,
  // It starts over, in scratch databases of its own.
  whenInterrupted: 'resume',
  run: checkDrift,
});
