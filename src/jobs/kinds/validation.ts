import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { defineJob } from '../define-job.ts';
import { runValidation } from '../validate.ts';

const name = z.string().min(1).max(63);
const expression = z.string().min(1).max(10_000);

const comparedTable = z.strictObject({
  database: name.describe('Name of a registered database'),
  schema: name.optional().describe("That of the database's URL when absent"),
  table: name.describe('Its exact name'),
  where: expression
    .optional()
    .describe("An SQL expression over the table's columns: only rows for which it is true are compared"),
});

export const validationPayload = z.strictObject({
  source: comparedTable.describe('The table that has what is right'),
  target: comparedTable.describe('The table that is judged'),
  key: z
    .array(name)
    .min(1)
    .max(32)
    .optional()
    .describe("Columns of the target; the first of its unique keys that is the source's too when absent"),
  columns: z
    .record(name, expression)
    .optional()
    .describe(
      'For columns of the target what they come from: a column of the source by its exact name, else an SQL expression over its columns. All columns, by name, when absent',
    ),
  extraRows: z
    .enum(['refused', 'allowed'])
    .default('refused')
    .describe('Whether rows that only the target has are differences'),
  parallelism: z.int().min(1).max(16).default(1).describe('Sessions for each database'),
  pauseMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(2_000)
    .describe('Before rows that differ are compared again, in milliseconds'),
  tries: z
    .int()
    .min(1)
    .max(20)
    .default(3)
    .describe('How often rows that differ are compared again before they are named as moving'),
  listed: z.int().min(0).max(1_000).default(100).describe('How many differences are listed, at most'),
  values: z
    .enum(['shown', 'redacted'])
    .default('shown')
    .describe(
      '`redacted`: only keys and columns are told; so too where the policy of either database says so',
    ),
});
export type ValidationPayload = z.infer<typeof validationPayload>;

/** Compares two tables in full. It fails with `DATA_DIFFERS` where they do not hold the same rows. */
export const validation = defineJob({
  name: 'validation',
  queue: 'operations',
  payload: validationPayload,
  steps: ['prepare', 'compare', 'locate', 'compareAgain'],
  exclusive: false,
  attempts: 3,
  backoffMs: (attempt) => attempt * 10_000,
  // It starts over: a later snapshot is as good as the one that is lost.
  whenInterrupted: 'resume',
  record({ id: jobId, database, payload, requestedBy }) {
    const source_database = payload.source.database;
    return {
      table: 'validation',
      row: { id: newId(), job_id: jobId, database, source_database, requested_by: requestedBy },
    };
  },
  run: runValidation,
});
