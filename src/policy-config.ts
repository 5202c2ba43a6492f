/** The form of a database's policy: what may stop a deployment, and what is kept, tried and watched. */
import { z } from 'zod';
import { throttlePolicy } from './throttle-config.ts';

const milliseconds = (least: number, most: number, fallback: number) =>
  z.int().min(least).max(most).default(fallback);

/** Overrides one stop by its code; the reason stands in the plan and the report. */
export const allowance = z
  .strictObject({
    code: z.string().min(1).max(64).describe('Code of the fault that is allowed, or id of the rule'),
    migration: z.string().min(1).max(255).optional().describe('Only in this migration'),
    reason: z.string().trim().min(8).max(500).describe('Why this is right; it stands in the report'),
  })
  .meta({ id: 'Allowance' });
export type Allowance = z.infer<typeof allowance>;

const backupPolicy = z
  .union([
    z.literal('always'),
    z.strictObject({ youngerThanMinutes: z.int().min(1).max(525_600) }),
    z.strictObject({ never: z.string().trim().min(8).max(500).describe('Why no backup is taken') }),
  ])
  .describe(
    'Backup before a deployment: always; only where no verified one is young enough; never, with a reason',
  );

/** As the analyser calls them; `off` is no rule at all. */
const ruleSeverity = z.enum(['off', 'notice', 'safe', 'caution', 'dangerous']);

const analysisPolicy = z
  .strictObject({
    rules: z
      .record(z.string().min(1).max(64), ruleSeverity)
      .default({})
      .describe("By a rule's id: another severity than its own, or off; `dangerous` stops a deployment"),
    thresholds: z
      .strictObject({
        briefSeconds: z
          .number()
          .min(0)
          .max(3_600)
          .default(0.5)
          .describe('Work under a lock that is estimated to take no longer is safe'),
        lockedTables: z
          .int()
          .min(0)
          .max(10_000)
          .default(5)
          .describe('More existing tables than this locked in one transaction are worth a word'),
      })
      .prefault({}),
  })
  .prefault({});

const vaultPolicy = z
  .strictObject({
    retentionDays: z
      .int()
      .min(1)
      .max(3_650)
      .default(30)
      .describe('How long what a migration, or its rollback, removed is kept in the database'),
    limitBytes: z
      .int()
      .min(0)
      .max(Number.MAX_SAFE_INTEGER)
      .nullable()
      .default(10_737_418_240)
      .describe('All that the vault may hold in the database; null for no limit'),
    whenFull: z
      .enum(['refuse', 'backup'])
      .default('refuse')
      .describe(
        'Where it would hold more: refuse; or go on without keeping, if the deployment has a verified backup',
      ),
  })
  .prefault({});

const validationPolicy = z
  .strictObject({
    values: z
      .enum(['shown', 'redacted'])
      .default('shown')
      .describe('Whether a validation lists the values of rows that differ, or only keys and columns'),
  })
  .prefault({});

const dataMigrationsPolicy = z
  .strictObject({
    onDeployment: z
      .enum(['refuse', 'pause'])
      .default('refuse')
      .describe(
        'A deployment that touches a table on which a data migration runs: refuse it, or pause the data migration, which is left paused afterwards',
      ),
    parallelism: z.int().min(1).max(32).default(32).describe('Most ranges that one works on at once'),
    rowsPerSecond: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe('Most rows a second, all ranges together; null for no limit'),
    toleratedRows: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(1_000_000)
      .describe('Most rows at fault that may be left in the quarantine'),
  })
  .prefault({});

export const policy = z
  .strictObject({
    outOfOrder: z
      .enum(['warn', 'stop'])
      .default('warn')
      .describe('A pending migration that sorts before an applied one'),
    backup: backupPolicy.default('always'),
    bundles: z
      .enum(['directory', 'upload'])
      .default('directory')
      .describe('Where migrations come from; `upload` also takes POST /api/bundles'),
    lockTimeoutMs: milliseconds(50, 60_000, 2_000).describe(
      'How long a segment that blocks others may wait for its locks, in all',
    ),
    lockBudgetMs: milliseconds(0, 3_600_000, 60_000).describe(
      'How long lock timeouts, deadlocks and serialisation failures are retried',
    ),
    maxReplicationLagMs: milliseconds(0, 3_600_000, 10_000).describe(
      'A replica further behind stops a deployment',
    ),
    longTransactionMs: milliseconds(1_000, 86_400_000, 30_000).describe(
      'A transaction older than this, in a table that the plan locks, stops a deployment',
    ),
    publicationsChecked: z
      .boolean()
      .default(false)
      .describe(
        "FOR ALL TABLES publications leave out Switchback's own tables, or their subscribers have them",
      ),
    analysis: analysisPolicy,
    throttle: throttlePolicy,
    vault: vaultPolicy,
    validation: validationPolicy,
    dataMigrations: dataMigrationsPolicy,
    rehearsal: z
      .union([
        z.enum(['required', 'preferred']),
        z.strictObject({ never: z.string().trim().min(8).max(500).describe('Why nothing is rehearsed') }),
      ])
      .default('preferred')
      .describe(
        'Migrations and their ways back are tried in a scratch database first. One that does not run there stops the deployment; `required`: so does one without a proven way back; never, with a reason',
      ),
    rehearsalRows: z
      .enum(['none', 'generated', 'sample', 'full'])
      .default('generated')
      .describe('What is in the tables of the rehearsal; sample and full are copied from the database'),
    ignore: z
      .array(z.string().min(1).max(255))
      .max(1_000)
      .default([])
      .describe(
        'Objects that belong to no migration, with all that is theirs, and are no drift: `public.spatial_*`, `audit.*`',
      ),
    onFailure: z
      .enum(['halt', 'rollBack'])
      .default('halt')
      .describe(
        'When applying, verifying or probing fails: leave the database as it is, or roll back what the deployment applied',
      ),
    allow: z
      .array(allowance)
      .default([])
      .describe('Faults, and dangerous violations by their rule, that are allowed in every deployment'),
  })
  .prefault({})
  .meta({ id: 'Policy' });
export type Policy = z.infer<typeof policy>;
