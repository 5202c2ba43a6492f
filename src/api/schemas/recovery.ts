import { z } from 'zod';
import { databaseName } from './job.ts';
import { bundleId, migrationName, recordFields } from './record.ts';

const common = { database: databaseName, bundle: bundleId.optional() };

export const recoveryRequest = z
  .discriminatedUnion('action', [
    z.strictObject({
      ...common,
      action: z
        .literal('baseline')
        .describe('The database has what the migrations make: write their history'),
      upTo: migrationName.optional().describe('The last migration that the database has; all when absent'),
    }),
    z.strictObject({
      ...common,
      action: z.literal('resolveApplied').describe('A failed migration was completed by hand'),
      migration: migrationName,
    }),
    z.strictObject({
      ...common,
      action: z.literal('resolveRolledBack').describe('A failed migration was undone by hand'),
      migration: migrationName,
    }),
  ])
  .meta({ id: 'RecoveryRequest' });

export const recovery = z
  .object({
    ...recordFields,
    database: z.string(),
    action: z.enum(['baseline', 'resolveApplied', 'resolveRolledBack']),
    migration: z.string().nullable(),
    outcome: z.unknown(),
  })
  .meta({ id: 'Recovery' });
