import { z } from 'zod';
import { pageOf, pageQuery } from '../paging.ts';
import { databaseName, idParameter } from './job.ts';

const entryState = z
  .enum(['kept', 'restored', 'removed'])
  .describe('`restored`: it was put back, and is kept all the same; `removed`: its data is gone');

export const vaultEntry = z
  .object({
    id: z.uuid(),
    operation: z.string().describe('Id of the job that removed it'),
    migration: z.string(),
    direction: z.enum(['forth', 'back']).describe('`forth`: a deployment removed it; `back`: a rollback did'),
    statement: z.int().describe('1-based number of the statement that removed it'),
    kind: z.enum(['table', 'column', 'values', 'label', 'rows', 'changes', 'sequence']),
    schema: z.string(),
    table: z.string(),
    columns: z.array(z.string()),
    rows: z.number(),
    bytes: z.number(),
    savedAt: z.date(),
    keepUntil: z.date().describe('Removed after this by itself'),
    state: entryState,
    conflicts: z.int().describe('How much of it could not be put back when that was tried last'),
  })
  .meta({ id: 'VaultEntry' });

export const vaultEntryDetail = z
  .object({
    ...vaultEntry.shape,
    examples: z
      .array(
        z.object({
          reason: z.string(),
          detail: z.string(),
          kept: z
            .record(z.string(), z.string().nullable())
            .nullable()
            .describe('The row or the values that were not put back, as texts'),
          foundAt: z.date(),
        }),
      )
      .describe('The first hundred conflicts'),
  })
  .meta({ id: 'VaultEntryDetail' });

export const vaultPage = pageOf(vaultEntry, 'VaultPage');
export const vaultQuery = z.strictObject({
  ...pageQuery,
  database: databaseName.describe('Entries live in the database that they were removed from'),
  state: entryState.optional(),
});
export const vaultEntryQuery = z.strictObject({ database: databaseName });
export const vaultEntryParameter = idParameter;
