import { z } from 'zod';
import { pageOf, pageQuery } from '../paging.ts';
import { databaseName } from './job.ts';

export const flagKey = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, 'letters, digits, ".", "_", ":" and "-", at most 128');
export const flagState = z.enum(['on', 'off']);

const ownerKind = z.enum(['data migration', 'phase']);

export const flag = z
  .object({
    id: z.uuid(),
    database: z.string(),
    key: z.string().describe('As the application asks for it'),
    owner: z
      .object({ kind: ownerKind, name: z.string() })
      .describe('What turns it on when its validation passes'),
    state: flagState,
    reason: z.string().describe('Why it is in this state'),
    createdAt: z.date(),
    changedAt: z.date(),
    changedBy: z.string().describe('Name of the token'),
  })
  .meta({ id: 'Flag' });

export const flagPage = pageOf(flag, 'FlagPage');
export const flagQuery = z.strictObject({ ...pageQuery, database: databaseName.optional() });
export const flagParameter = z.strictObject({ key: flagKey });

export const flagRequest = z
  .strictObject({
    database: databaseName,
    state: flagState,
    reason: z.string().trim().min(8).max(500).describe('Why it is changed by hand'),
  })
  .meta({ id: 'FlagRequest' });

/** The first two members are OFREP's; providers of its SDKs look at no others. */
export const flagChange = z
  .object({
    type: z.literal('refetchEvaluation'),
    lastModified: z.int().describe('Seconds since 1970'),
    database: z.string(),
    key: z.string(),
    state: flagState,
    reason: z.string(),
    by: z.string().describe('Name of the token'),
  })
  .meta({ id: 'FlagChange', description: 'Data of one Server-Sent Event' });

export const flagEventQuery = z.strictObject({
  database: databaseName.optional(),
  after: z.coerce
    .number()
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe('Number of the last change known, 0 for all there were; those from now on when absent'),
});
