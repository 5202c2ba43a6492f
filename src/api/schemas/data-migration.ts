import { z } from 'zod';
import { controlChange, dataMigrationName, dataMigrationSpec } from '../../jobs/data-migrations/forms.ts';
import { dataMigrationStates } from '../../jobs/data-migrations/records.ts';
import { dataMigrationRetryPayload } from '../../jobs/kinds/data-migration-retry.ts';
import { pageOf, pageQuery } from '../paging.ts';
import { flagKey } from './flag.ts';
import { databaseName, idParameter } from './job.ts';
import { errorRecord } from './problem.ts';
import { bundleId, recordFields } from './record.ts';
import { validation } from './validation.ts';

export const dataMigrationRequest = z
  .strictObject({
    database: databaseName.describe('The one whose rows are gone through'),
    spec: dataMigrationSpec.optional(),
    name: dataMigrationName
      .optional()
      .describe('In the place of `spec`: a data migration that lies beside a migration'),
    bundle: bundleId
      .optional()
      .describe("Of `name`: an uploaded bundle; by default the database's configured directory"),
    flag: flagKey
      .optional()
      .describe('A feature flag that it owns: off from now on, on when the validation has passed'),
    dryRun: z
      .boolean()
      .default(false)
      .describe(
        "Only tries the first batch and rolls it back; the job's result has the plan and an estimate. There is no record then, and `id` is the job's",
      ),
  })
  .refine(({ spec, name }) => (spec === undefined) !== (name === undefined), {
    path: ['spec'],
    message: 'either `spec` or `name`',
  })
  .refine(({ bundle, name }) => bundle === undefined || name !== undefined, {
    path: ['name'],
    message: 'a bundle needs the name of one of its data migrations',
  })
  .meta({ id: 'DataMigrationRequest' });

const state = z
  .enum(dataMigrationStates)
  .describe(
    '`waiting`: its job is in the queue; `paused` and `failed` can be gone on with; `finished`: every row, and validated',
  );

const progress = z
  .object({
    scanned: z.number().describe('Rows that were gone through, whether or not they needed it'),
    changed: z.number(),
    quarantined: z.number().describe('Rows at fault that are left out'),
    total: z.number().nullable().describe('Rows that there were at the start; null where nobody can say'),
    exact: z.boolean().describe("Whether the total is counted; else it is the planner's guess"),
    rowsPerSecond: z.number(),
    secondsLeft: z.number().nullable(),
    ranges: z.number().describe('Ranges of the table that are not done'),
  })
  .meta({ id: 'DataMigrationProgress' });

const throttle = z
  .object({
    event: z.enum(['throttle-paused', 'throttle-resumed', 'throttle-slowed']),
    message: z.string().describe('Why, with the numbers'),
    at: z.string(),
  })
  .meta({ id: 'DataMigrationThrottle' });

const judgement = z
  .object({
    passed: z.boolean(),
    by: z
      .enum(['rows-left', 'comparison', 'counts'])
      .describe('No row is left that needs it; all rows compared; rows only counted'),
    says: z.string(),
    at: z.string(),
    quarantined: z.number().describe('Rows in the quarantine, which were not looked at'),
    left: z.number().optional().describe('Rows that still need it'),
    listed: z.array(z.array(z.string())).optional().describe('Keys of the first of them'),
    comparison: validation.shape.outcome.unwrap().unwrap().optional(),
    sample: z
      .object({
        compared: z.number(),
        wrong: z.array(z.object({ key: z.record(z.string(), z.string().nullable()), reason: z.string() })),
      })
      .optional()
      .describe(
        'Rows by chance that the module made once more, and those of them that were written otherwise',
      ),
  })
  .meta({ id: 'DataMigrationValidation' });

export const dataMigration = z
  .object({
    ...recordFields,
    name: z.string(),
    kind: z.string(),
    database: z.string().describe('The one that is read'),
    writtenDatabase: z.string(),
    state,
    spec: dataMigrationSpec.describe('As it was asked for'),
    control: controlChange.required().describe('What is wanted of it now'),
    flag: z.string().nullable(),
    progress: progress.nullable().describe('Null until the first batch'),
    throttle: throttle.nullable().describe('What the throttle said last'),
    validation: judgement.nullable().describe('Null until it is known'),
    cancelRequestedAt: z.date().nullable(),
    cancelRequestedBy: z.string().nullable(),
    endedAt: z.date().nullable(),
    report: z.unknown().optional().describe('The log; null until it has ended or failed; not in lists'),
  })
  .meta({ id: 'DataMigration' });

export const dataMigrationPage = pageOf(dataMigration, 'DataMigrationPage');
export const dataMigrationQuery = z.strictObject({
  ...pageQuery,
  database: databaseName.optional(),
  name: z.string().max(100).optional(),
  state: state.optional(),
});
export const dataMigrationChange = controlChange.meta({ id: 'DataMigrationChange' });

export const quarantinedRow = z
  .object({
    id: z.string(),
    key: z.array(z.string()).describe('Values of the key by which the rows are gone through'),
    error: errorRecord,
    state: z
      .enum(['open', 'unsettled', 'mended'])
      .describe('`unsettled`: written in another try, which the next one settles where it was read'),
    tries: z.int(),
    foundAt: z.date(),
    settledAt: z.date().nullable(),
  })
  .meta({ id: 'QuarantinedRow' });

export const quarantinePage = pageOf(quarantinedRow, 'QuarantinePage');
export const quarantineQuery = z.strictObject(pageQuery);
export const quarantineRowParameter = z.strictObject({
  ...idParameter.shape,
  row: z.string().regex(/^[1-9]\d{0,17}$/, 'the id of a row in the quarantine'),
});

const value = z.string().max(1_000_000).nullable().describe('As PostgreSQL reads it from a text');
export const quarantineMend = z
  .strictObject({
    set: z
      .record(z.string().min(1).max(63), value)
      .refine((set) => Object.keys(set).length > 0, 'at least one column')
      .describe('Columns of the row, in the table that is read'),
  })
  .meta({ id: 'QuarantineMend' });

export const quarantineRetry = dataMigrationRetryPayload
  .pick({ rows: true })
  .describe('Ids of rows in the quarantine; all that are open when absent')
  .meta({ id: 'QuarantineRetry' });
