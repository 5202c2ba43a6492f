import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { allowance } from '../../config.ts';
import { defineJob } from '../define-job.ts';
import { runDeployment } from '../deployments/deploy.ts';

export const deploymentPayload = z.strictObject({
  bundle: z.string().min(1).max(64).optional(),
  plan: z.uuid().optional(),
  allow: z.array(allowance).max(100).default([]),
  restore: z.boolean().optional(),
});
export type DeploymentPayload = z.infer<typeof deploymentPayload>;

export const deploymentSteps = [
  'load',
  'plan',
  'rehearse',
  'preflight',
  'backup',
  'apply',
  'verify',
  'probe',
  'report',
] as const;
export type DeploymentStep = (typeof deploymentSteps)[number];

/** Applies the pending migrations of one database. */
export const deployment = defineJob({
  name: 'deployment',
  queue: 'operations',
  payload: deploymentPayload,
  steps: deploymentSteps,
  exclusive: true,
  // A deployment that failed is not tried again by itself: somebody looks at it first.
  attempts: 1,
  backoffMs: () => 0,
  // A later worker finds in history and journal what its predecessor did, and goes on from there.
  whenInterrupted: 'resume',
  record({ id: jobId, database, payload, requestedBy }) {
    return {
      table: 'deployment',
      row: {
        id: newId(),
        job_id: jobId,
        database,
        bundle_id: payload.bundle ?? null,
        requested_by: requestedBy,
      },
    };
  },
  run: runDeployment,
});
