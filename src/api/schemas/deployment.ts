import { z } from 'zod';
import { allowance } from '../../config.ts';
import { databaseName } from './job.ts';
import { bundleId, recordFields } from './record.ts';

/** Overriding: faults that are allowed by name. */
export const allow = z.array(allowance).max(100).default([]);

export const mode = z
  .enum(['atomic', 'auto'])
  .default('auto')
  .describe('How migrations are applied; `auto` picks, and has only `atomic` to pick from as yet');

export const deploymentRequest = z
  .strictObject({
    database: databaseName,
    bundle: bundleId.optional(),
    plan: z.uuid().optional().describe('Deploy exactly this plan, or refuse with PLAN_STALE'),
    allow,
    mode,
    restore: z
      .boolean()
      .optional()
      .describe('Put back what rollbacks of the pending migrations removed, as long as the vault keeps it'),
  })
  .meta({ id: 'DeploymentRequest' });

export const deployment = z
  .object({
    ...recordFields,
    database: z.string(),
    bundleId: z.string().nullable(),
    backupId: z.uuid().nullable(),
    plan: z.unknown().optional().describe('The steps that run; null until the job has planned; not in lists'),
    report: z
      .unknown()
      .optional()
      .describe('The migration log; null until the job has reported; not in lists'),
  })
  .meta({ id: 'Deployment' });
