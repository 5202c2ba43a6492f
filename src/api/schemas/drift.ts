import { z } from 'zod';

const driftSql = z.object({
  sql: z.string(),
  unsupported: z.array(z.string()).describe('What the statements leave as it is'),
});

export const drift = z
  .object({
    database: z.string(),
    checkedAt: z.date(),
    jobId: z.uuid(),
    drifted: z.boolean(),
    differences: z
      .array(z.string())
      .describe('As the migrations make it → as it is in the database; at most 100'),
    total: z.number().int(),
    toMigrations: driftSql.describe('Makes the database what its migrations make'),
    toDatabase: driftSql.describe('As a migration: makes the migrations give what the database is'),
  })
  .meta({ id: 'Drift' });
