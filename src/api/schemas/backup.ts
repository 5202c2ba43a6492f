import { z } from 'zod';
import { databaseName } from './job.ts';
import { errorRecord } from './problem.ts';
import { jobSummary, recordFields } from './record.ts';

export const backupRequest = z.strictObject({ database: databaseName }).meta({ id: 'BackupRequest' });

export const backup = z
  .object({
    ...recordFields,
    job: jobSummary.nullable().describe('Null for the backup that a deployment made'),
    database: z.string(),
    state: z.enum(['creating', 'verified', 'failed']).describe('`verified`: it was read back whole'),
    key: z.string().nullable().describe('Its place in the store'),
    bytes: z.number().nullable(),
    sha256: z.string().nullable(),
    durationMs: z.int().nullable(),
    manifest: z.unknown(),
    error: errorRecord.nullable(),
    verifiedAt: z.date().nullable(),
  })
  .meta({ id: 'Backup' });
