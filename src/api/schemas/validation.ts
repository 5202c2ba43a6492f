import { z } from 'zod';
import { validationPayload } from '../../jobs/kinds/validation.ts';
import { recordFields } from './record.ts';

export const validationRequest = validationPayload.meta({ id: 'ValidationRequest' });

const values = z.record(z.string(), z.string().nullable());

const outcome = z
  .object({
    same: z.boolean().describe('No difference was found; rows that moved are none'),
    method: z
      .enum(['types', 'text', 'text-sha256'])
      .describe(
        "By the types' own hash functions; by values' text, where the two servers are not of one kind",
      ),
    rows: z.object({ source: z.int(), target: z.int() }),
    key: z.array(z.string()),
    columns: z.array(z.string()).describe('The columns of the target that were compared, besides its key'),
    notCompared: z
      .object({ source: z.array(z.string()), target: z.array(z.string()) })
      .describe('Columns of either table that no compared one comes from'),
    buckets: z.object({ compared: z.int(), differing: z.int() }),
    differences: z.object({
      total: z.int(),
      missing: z.int().describe('Rows that only the source has'),
      extra: z.int().describe('Rows that only the target has'),
      changed: z.int().describe('Rows with other values'),
      comparedOnce: z.int().describe('Of the total: more rows differed than are compared again'),
      listed: z.array(
        z.object({
          kind: z.enum(['missing', 'extra', 'changed']),
          key: values,
          columns: z.array(z.string()).describe('Those that differ'),
          expected: values.optional(),
          found: values.optional(),
        }),
      ),
    }),
    moving: z
      .object({ total: z.int(), listed: z.array(values) })
      .describe('Rows that differed at every try, and changed between any two'),
    settled: z.int().describe('Rows that differed at first, and were the same when they were compared again'),
  })
  .meta({ id: 'ValidationOutcome' });

export const validation = z
  .object({
    ...recordFields,
    database: z.string().describe('Of the target'),
    sourceDatabase: z.string(),
    request: validationRequest,
    outcome: outcome.nullish().describe('Null until it is known; lists leave it out'),
  })
  .meta({ id: 'Validation' });
