import { z } from 'zod';
import { pageOf, pageQuery } from '../paging.ts';
import { errorRecord } from './problem.ts';

export const jobState = z.enum(['queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled']);

/** A registered database's name, as the configuration has it. */
export const databaseName = z.string().min(1).max(63);

export const idParameter = z.strictObject({ id: z.uuid() });

export const job = z
  .object({
    id: z.uuid(),
    kind: z.string(),
    database: z.string().nullable(),
    state: jobState,
    step: z.string().nullable().describe('The named part that runs, or ran last'),
    percent: z.number().min(0).max(100),
    attempt: z.int(),
    requestedBy: z.string().describe('Name of the token that asked for it'),
    createdAt: z.date(),
    startedAt: z.date().nullable(),
    finishedAt: z.date().nullable(),
    cancelRequestedAt: z.date().nullable(),
    cancelRequestedBy: z.string().nullable(),
    lastEvent: z.int().describe('Number of its latest event'),
    result: z.unknown().describe('What a succeeded job found or did'),
    error: errorRecord.nullable(),
  })
  .meta({ id: 'Job' });
export type JobView = z.infer<typeof job>;

export const jobPage = pageOf(job, 'JobPage');

export const jobQuery = z.strictObject({
  ...pageQuery,
  database: databaseName.optional(),
  kind: z.string().max(64).optional(),
  state: jobState.optional(),
});

export const jobEvent = z
  .object({
    number: z.int().describe('Grows by one; the `id:` of the message'),
    at: z.string(),
    type: z.string().describe('The `event:` of the message'),
    body: z.unknown().describe('What happened: step, percent, done and total, error'),
  })
  .meta({ id: 'JobEvent', description: 'Data of one Server-Sent Event' });

export const eventQuery = z.strictObject({
  after: z.coerce
    .number()
    .int()
    .min(0)
    .max(2_147_483_647)
    .default(0)
    .describe('Number of the last event known'),
});

/** Other headers pass: this only documents and checks ours. */
export const eventHeaders = z.looseObject({
  'last-event-id': z
    .string()
    .regex(/^\d{1,9}$/, 'the id of an event: a number')
    .optional()
    .describe('Goes before `after`; browsers send it when they reconnect'),
});

export const resultQuery = z.strictObject({
  wait: z.coerce.number().int().min(0).max(300).default(0).describe('Seconds to wait for the job to finish'),
});

export const jobResult = z
  .object({ job, result: z.unknown() })
  .meta({ id: 'JobResult', description: 'A job that has succeeded' });
