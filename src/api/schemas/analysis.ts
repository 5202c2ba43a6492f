import { z } from 'zod';
import { effects, formats, severities } from '../../jobs/analysis/analysis-tasks.ts';
import { databaseName } from './job.ts';
import { bundleId, migrationName } from './record.ts';

const verdict = z.enum(['safe', 'caution', 'dangerous']);
const effect = z.enum(effects);

const violation = z
  .object({
    rule: z.string().describe('Id of the rule; docs/rules has a page for each'),
    severity: z.enum(severities).describe('A `notice` is an opinion, and no part of a verdict'),
    effect: effect.nullable(),
    table: z.string().nullable().describe('As `schema.name`'),
    line: z.int(),
    column: z.int(),
    message: z.string(),
    remedy: z
      .string()
      .nullable()
      .describe('What to do instead; SQL for this very statement where that helps'),
    suppressed: z.string().optional().describe('The reason for which a comment in the file allows it'),
  })
  .meta({ id: 'Violation' });

const migrationAnalysis = z
  .object({
    name: z.string(),
    verdict,
    effects: z.array(effect),
    violations: z.array(violation),
    statements: z.array(
      z.object({
        line: z.int(),
        column: z.int(),
        verdict,
        locks: z
          .array(z.object({ table: z.string(), mode: z.string() }))
          .describe('On tables that existed before the migration'),
      }),
    ),
  })
  .meta({ id: 'MigrationAnalysis' });

export const analysis = z
  .object({
    verdict,
    migrations: z.array(migrationAnalysis),
    violations: z.array(violation).describe('Of the folder itself'),
    basis: z
      .object({ facts: z.boolean(), previousSchema: z.boolean() })
      .describe("What the verdict rests on: a live database's figures, the running release's Prisma schema"),
  })
  .meta({ id: 'Analysis' });

/** What one migration was found to do, beside its other details. */
export const analysisOfMigration = migrationAnalysis.omit({ name: true });

export const analysisReport = z
  .object({
    ...analysis.shape,
    summary: z.looseObject({}).describe('The folder in figures'),
    quality: z.array(z.looseObject({})).describe('Four questions about the folder, with their evidence'),
  })
  .meta({ id: 'AnalysisReport' });

const sql = z.string();
/** Of all texts of one request together. */
export const maxSqlBytes = 10_485_760;

export const analysisRequest = z
  .strictObject({
    sql: sql.optional().describe('One text, analysed by itself'),
    name: migrationName.optional().describe("The text's name in the report"),
    bundle: bundleId.optional().describe('An uploaded bundle'),
    migrations: z
      .array(z.strictObject({ name: migrationName, sql }))
      .min(1)
      .max(20_000)
      .optional()
      .describe(
        'A folder, with `only` naming the files to judge; without it perhaps just its changed files, so that tables which they do not create are taken to exist',
      ),
    only: z
      .array(migrationName)
      .min(1)
      .max(20_000)
      .optional()
      .describe('Judge only these; the others are followed for the schema'),
    database: databaseName
      .optional()
      .describe("Judge what is pending by this database's schema, figures and policy"),
    previousSchema: z
      .string()
      .min(1)
      .max(2_097_152)
      .optional()
      .describe('Text of the Prisma schema of the release that still runs'),
    notices: z.boolean().default(false).describe('Tell opinions too'),
  })
  .superRefine((body, context) => {
    const fault = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: path === '' ? [] : [path], message });
    const given = (['sql', 'bundle', 'migrations'] as const).filter((key) => body[key] !== undefined);
    if (given.length !== 1) fault('', 'give one of `sql`, `bundle` and `migrations`');
    if (body.name !== undefined && body.sql === undefined) fault('name', 'goes with `sql` only');
    if (body.only !== undefined && body.sql !== undefined) fault('only', 'does not go with `sql`');
    const names = body.migrations?.map(({ name }) => name) ?? [];
    if (new Set(names).size < names.length) fault('migrations', 'a name is there twice');
  })
  .meta({ id: 'AnalysisRequest' });

export const analysisQuery = z.strictObject({
  format: z.enum(formats).optional().describe('Goes before the header Accept; `json` without either'),
  directory: z
    .string()
    .max(1_024)
    .default('prisma/migrations')
    .describe("The migrations directory below the repository's root, for SARIF"),
});
