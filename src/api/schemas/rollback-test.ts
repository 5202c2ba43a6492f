import { z } from 'zod';
import { databaseName } from './job.ts';
import { bundleId, migrationName, recordFields } from './record.ts';

const rows = z
  .enum(['none', 'generated', 'sample', 'full'])
  .describe('What is in the tables: nothing, generated rows, or those of the database, some or all');

export const rollbackTestRequest = z
  .strictObject({
    database: databaseName,
    bundle: bundleId.optional(),
    migrations: z
      .array(migrationName)
      .min(1)
      .max(1_000)
      .optional()
      .describe('What is pending when absent; applied ones stand on what those before them make'),
    rows: rows.default('generated'),
  })
  .meta({ id: 'RollbackTestRequest' });

export const rollbackTest = z
  .object({
    ...recordFields,
    database: z.string(),
    bundleId: z.string().nullable(),
    outcome: z
      .unknown()
      .optional()
      .describe('Each migration with its way back and what came of trying it; not in lists'),
  })
  .meta({ id: 'RollbackTest' });

export const wayBackQuery = z.strictObject({
  format: z
    .enum(['json', 'sql'])
    .default('json')
    .describe('`sql`: the text alone, to be put beside the migration as rollback.sql'),
});

export const wayBackSource = z.enum(['rollback.sql', 'down.sql', 'generated']);
export const wayBackOutcome = z.enum(['proven', 'refused', 'wrong', 'failed', 'notRehearsed']);
export const provenOn = z.enum(['schema', 'generated rows', 'sample', 'full']).nullable();

export const wayBack = z
  .object({
    migration: z.string(),
    checksum: z.string(),
    source: wayBackSource,
    sql: z.string(),
    outcome: wayBackOutcome,
    provenOn,
    reasons: z.array(z.string()).describe('Why it is not proven'),
    compared: z.unknown(),
    testedAt: z.date().nullable(),
    jobId: z.uuid().nullable().describe('The job that tried it'),
    deploymentId: z.uuid().nullable(),
  })
  .meta({ id: 'WayBack' });
