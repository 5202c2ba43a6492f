/** Parts of the forms of all kinds. */
import { z } from 'zod';
import { throttlePolicy } from '../throttle-config.ts';
import type { ThrottleLimits } from './define-signal.ts';

const identifier = z.string().min(1).max(63);
export const columnName = identifier;
export const expressionText = z.string().min(1).max(10_000);

/** They name URLs that our process reads: which ones is for the configuration to say. */
const readings = new Set(['latency', 'disk']);

/**
 * Limits of the throttle beside the database's policy: null takes one away, what is not given stays as it is there. What is
 * read from a URL can only be taken away.
 */
export const limitsForm = z.strictObject(
  Object.fromEntries(
    Object.entries(throttlePolicy.unwrap().shape).map(([name, limit]) => [
      name,
      readings.has(name)
        ? z.null().optional().describe('null: not watched; what is read, and where, the policy says')
        : limit.removeDefault().optional(),
    ]),
  ),
) as unknown as z.ZodType<Partial<ThrottleLimits>>;

export const paceForm = z.strictObject({
  targetMs: z
    .int()
    .min(20)
    .max(30_000)
    .default(250)
    .describe('What a batch should take: so long are its rows locked'),
  maxRows: z.int().min(1).max(1_000_000).default(100_000).describe('Most rows of a batch'),
  rowsPerSecond: z.number().positive().nullable().default(null).describe('At most, all ranges together'),
  lockTimeoutMs: z
    .int()
    .min(10)
    .max(30_000)
    .default(500)
    .describe('How long a batch waits for a lock before it is rolled back and tried again'),
});

export const parallelismForm = z.int().min(1).max(32);

export const dataMigrationName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}$/, 'of letters, digits, hyphens, underscores and dots');

export const baseForm = {
  name: dataMigrationName.describe('For people; of letters, digits, hyphens, underscores and dots'),
  schema: identifier.optional().describe("Of the table; by default the database URL's schema"),
  table: identifier.describe('Whose rows are gone through'),
  key: z
    .array(columnName)
    .min(1)
    .max(32)
    .optional()
    .describe('Columns of the unique key to go by; by default the primary key'),
  where: expressionText
    .optional()
    .describe('An SQL expression over the columns of the table: only rows for which it is true are changed'),
  laterRows: z
    .enum(['application', 'trigger'])
    .default('application')
    .describe(
      'Who changes rows that are inserted while it runs: the application, as it likes, or a trigger that does with them what is done with the others',
    ),
  parallelism: parallelismForm.default(1).describe('Ranges of the table that are worked on at once'),
  pace: paceForm.prefault({}),
  limits: limitsForm.optional().describe('Limits of the throttle for this data migration'),
  toleratedRows: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(0)
    .describe('Rows at fault that may go to the quarantine'),
  vacuumEvery: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('VACUUM of the written table after so many batches'),
};

const anyKind = z.object({ ...baseForm, kind: z.string() });
/** What the forms of all kinds have in common. */
export type BaseSpec = z.infer<typeof anyKind>;

/** The table that is written, where it is another one. */
export const destinationForm = z.strictObject({
  database: z
    .string()
    .min(1)
    .optional()
    .describe('Name of a registered database; by default the one that is read'),
  schema: identifier.optional(),
  table: identifier,
});

export const columnsForm = z
  .record(columnName, expressionText)
  .optional()
  .describe(
    'Columns of the written table with the SQL expression, over the columns of the one that is read, that each comes from; by default all columns from those of the same name',
  );

export const conflictForm = z.enum(['fail', 'skip', 'update']);
