import { z } from 'zod';
import { pageOf, pageQuery } from '../paging.ts';
import { analysisOfMigration } from './analysis.ts';
import { databaseName, jobState } from './job.ts';
import { fault, plannedMigration } from './plan.ts';
import { errorRecord } from './problem.ts';
import { bundleId, migrationName } from './record.ts';

export const databaseParameter = z.strictObject({ name: databaseName });
export const migrationParameter = z.strictObject({ name: databaseName, migration: migrationName });

export const database = z
  .object({
    name: z.string(),
    environment: z.string(),
    policy: z.looseObject({}).describe('As configured'),
    healthUrls: z.array(z.string()).describe('Without their queries, which may hold keys'),
    activeJob: z
      .object({ id: z.uuid(), kind: z.string(), state: jobState })
      .nullable()
      .describe('The operation that excludes others just now'),
  })
  .meta({ id: 'Database' });

export const databasePage = pageOf(database, 'DatabasePage');
export const databaseQuery = z.strictObject(pageQuery);

const migrationState = z.enum([
  'pending',
  'applied',
  'failed',
  'interrupted',
  'rolled back',
  'rolling back',
  'diverged',
  'missing',
]);

export const migration = z
  .object({
    name: z.string(),
    state: migrationState,
    checksum: z.string().nullable(),
    appliedAt: z.string().nullable(),
    logs: z.string().nullable().describe('What its last failed attempt left in the history'),
  })
  .meta({ id: 'Migration' });

export const migrationPage = pageOf(migration, 'MigrationPage');
export const migrationQuery = z.strictObject({ ...pageQuery, bundle: bundleId.optional() });

export const migrationDetail = z
  .object({
    ...migration.shape,
    sql: z.string().nullable().describe('Null where it is missing on disk'),
    planned: plannedMigration.nullable().describe('How it would be run; null where it is not pending'),
    faults: z.array(fault),
    analysis: analysisOfMigration
      .nullable()
      .describe(
        "What it does: with the database's figures where it is pending, else by its files alone; null where it is missing on disk",
      ),
    log: z
      .looseObject({ deployment: z.string(), outcome: z.string() })
      .nullable()
      .describe('What the last deployment that began it saw: outcome, times, locks, what was allowed'),
  })
  .meta({ id: 'MigrationDetail' });

export const databaseState = z
  .object({
    ...database.shape,
    serverVersion: z.string().nullable(),
    error: errorRecord.nullable().describe('Why its state cannot be told just now'),
    migrations: z.partialRecord(migrationState, z.int()).describe('How many, by state'),
    faults: z.array(fault).describe('What warns, or would stop a deployment'),
  })
  .meta({ id: 'DatabaseState' });
