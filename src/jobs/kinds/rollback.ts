import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { allowance } from '../../config.ts';
import { defineJob } from '../define-job.ts';
import { runRollback } from '../rollbacks/roll-back.ts';

/** One of the first three. */
export const rollbackPayload = z.strictObject({
  deployment: z.uuid().optional(),
  count: z.int().min(1).max(1_000).optional(),
  after: z.string().min(1).max(255).optional(),
  allow: z.array(allowance).max(100).default([]),
});
export type RollbackPayload = z.infer<typeof rollbackPayload>;

export const rollbackSteps = [
  'load',
  'plan',
  'preflight',
  'backup',
  'apply',
  'verify',
  'probe',
  'report',
] as const;
export type RollbackStep = (typeof rollbackSteps)[number];

/** Takes the last applied migrations of one database back. */
export const rollback = defineJob({
  name: 'rollback',
  queue: 'operations',
  payload: rollbackPayload,
  steps: rollbackSteps,
  exclusive: true,
  // A rollback that failed is not tried again by itself: somebody looks at it first.
  attempts: 1,
  backoffMs: () => 0,
  // A later worker finds the plan in the record, and in history and journal what its predecessor did.
  whenInterrupted: 'resume',
  record({ id: jobId, database, payload, requestedBy }) {
    return {
      table: 'rollback',
      row: {
        id: newId(),
        job_id: jobId,
        database,
        deployment_id: payload.deployment ?? null,
        requested_by: requestedBy,
      },
    };
  },
  run: runRollback,
});
