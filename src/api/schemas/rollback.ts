import { z } from 'zod';
import { allow } from './deployment.ts';
import { databaseName } from './job.ts';
import { migrationName, recordFields } from './record.ts';

const common = { database: databaseName, allow };

/** What is rolled back is always a tail of what is applied: the last one first. */
export const rollbackRequest = z
  .union([
    z.strictObject({
      ...common,
      deployment: z.uuid().describe('What this deployment applied; refused where later ones stand on it'),
    }),
    z.strictObject({ ...common, count: z.int().min(1).max(1_000).describe('So many, from the last on') }),
    z.strictObject({ ...common, after: migrationName.describe('All that were applied after this one') }),
  ])
  .meta({ id: 'RollbackRequest' });

export const rollback = z
  .object({
    ...recordFields,
    database: z.string(),
    deploymentId: z
      .uuid()
      .nullable()
      .describe('The deployment that is taken back, where one was named, or failed'),
    backupId: z.uuid().nullable(),
    plan: z
      .unknown()
      .optional()
      .describe('The ways back, and what stood against them; null until the job has planned; not in lists'),
    report: z
      .unknown()
      .optional()
      .describe('The rollback log, with conflicts; null until the job has reported; not in lists'),
  })
  .meta({ id: 'Rollback' });
