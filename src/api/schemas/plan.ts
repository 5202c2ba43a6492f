import { z } from 'zod';
import { effects } from '../../jobs/analysis/analysis-tasks.ts';
import { pageOf, pageQuery } from '../paging.ts';
import { analysis } from './analysis.ts';
import { allow, mode } from './deployment.ts';
import { databaseName } from './job.ts';
import { errorCode } from './problem.ts';
import { bundleId } from './record.ts';
import { provenOn, wayBackOutcome, wayBackSource } from './rollback-test.ts';

export const fault = z
  .object({
    code: errorCode,
    severity: z.enum(['warn', 'stop']),
    migration: z.string().nullable(),
    message: z.string(),
    line: z.int().optional(),
    column: z.int().optional(),
    rule: z.string().optional().describe('Of a violation: the rule, by whose id it is allowed'),
    effect: z.enum(effects).nullable().optional(),
    table: z.string().nullable().optional(),
    remedy: z.string().nullable().optional(),
    allowed: z.string().optional().describe('The reason for which it is allowed'),
  })
  .meta({ id: 'Fault', description: 'Something that warns, or stops a deployment unless allowed by name' });

const step = z
  .looseObject({
    statement: z.int().describe('1-based number of the statement in the file'),
    line: z.int(),
    column: z.int(),
    summary: z.string(),
    blocks: z.boolean().describe('Whether it takes locks that block others'),
    removals: z
      .array(z.looseObject({ kind: z.string() }))
      .optional()
      .describe('What it takes away of what was there before: that is kept in the vault'),
  })
  .meta({ id: 'PlanStep' });

export const plannedMigration = z
  .looseObject({
    name: z.string(),
    checksum: z.string(),
    segments: z
      .array(
        z.looseObject({
          runs: z
            .enum(['transaction', 'alone'])
            .describe('`alone`: PostgreSQL refuses it inside a transaction'),
          steps: z.array(step),
        }),
      )
      .describe('What runs together, in order'),
    keeps: z
      .object({
        bytes: z.number(),
        rows: z.number().describe('Negative where the tables were never analysed'),
        moved: z.boolean().describe('No row is copied: the tables are moved into the vault'),
        atMost: z.boolean().describe('It may be less: how many rows a statement changes shows when it runs'),
        unknown: z.boolean().describe('There may be more: only running a statement shows what it takes'),
      })
      .nullish()
      .describe('How much of what it removes the vault will take in; null where it removes nothing'),
    wayBack: z
      .object({
        source: wayBackSource,
        outcome: wayBackOutcome,
        provenOn,
        reasons: z.array(z.string()).describe('Why it is not proven'),
      })
      .nullish()
      .describe('What came of trying its way back so far; null where nobody has'),
  })
  .meta({ id: 'PlannedMigration' });

/** The steps that would run. */
export const planBody = z
  .looseObject({
    mode: z.string(),
    serverVersion: z.string(),
    migrations: z.array(plannedMigration),
    held: z
      .object({
        migration: z.string(),
        after: z.array(z.string()).describe('Pending as well, and to be applied after it'),
        waitsFor: z.array(
          z.object({
            name: z.string(),
            dataMigration: z.uuid().nullable().describe('The newest of that name'),
            state: z.string().nullable(),
          }),
        ),
      })
      .nullish()
      .describe('A migration that waits for data migrations: the plan ends before it'),
    faults: z.array(fault),
    analysis: analysis
      .nullish()
      .describe('What the pending migrations do to the application; null where nothing is pending'),
  })
  .meta({ id: 'PlanBody' });

export const planRequest = z
  .strictObject({ database: databaseName, bundle: bundleId.optional(), allow, mode })
  .meta({ id: 'PlanRequest' });

export const plan = z
  .object({
    id: z.uuid(),
    database: z.string(),
    bundleId: z.string().nullable().describe('The uploaded bundle; null for the configured directory'),
    fingerprint: z.string().describe('Of the state it was made for: another one makes it stale'),
    body: planBody,
    createdAt: z.date(),
    requestedBy: z.string(),
  })
  .meta({ id: 'Plan' });
export type PlanView = z.infer<typeof plan>;

export const planPage = pageOf(plan.omit({ body: true }), 'PlanPage');
export const planQuery = z.strictObject({ ...pageQuery, database: databaseName.optional() });
