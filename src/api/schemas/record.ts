import { z } from 'zod';
import { jobState } from './job.ts';
import { errorRecord } from './problem.ts';

/** What a record shows of its job; `GET /api/jobs/:id` has the rest. */
export const jobSummary = z
  .object({
    id: z.uuid(),
    state: jobState,
    step: z.string().nullable(),
    percent: z.number(),
    error: errorRecord.nullable(),
  })
  .meta({ id: 'JobSummary' });
export type JobSummary = z.infer<typeof jobSummary>;

/** Fields that every record has. */
export const recordFields = {
  id: z.uuid(),
  job: jobSummary,
  createdAt: z.date(),
  requestedBy: z.string().describe('Name of the token that asked for it'),
};

/** The answer to a request that is in the queue now: the record's id, and the job to follow. */
export const accepted = z.object(recordFields).meta({ id: 'Accepted' });

export const migrationName = z.string().min(1).max(255);
export const bundleId = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'the id of a bundle: a SHA-256 in hexadecimal')
  .describe('An uploaded bundle; the configured directory when absent');
