/** What is done in the analysis' own thread, and what crosses its border: plain data that can be cloned. */
import { analyse } from '../../analysis/analyse.ts';
import type { Rule } from '../../analysis/define-rule.ts';
import type { Policy } from '../../analysis/policy.ts';
import { type PrismaSchema, readPrismaSchema } from '../../analysis/prisma-schema.ts';
import { analysisToJson, toJson } from '../../analysis/reports/json.ts';
import { toMarkdown } from '../../analysis/reports/markdown.ts';
import { makeReport } from '../../analysis/reports/report.ts';
import { toSarif } from '../../analysis/reports/sarif.ts';
import { factsFrom, schemaFrom } from '../../analysis/schema/from-catalogue.ts';
import { Schema } from '../../analysis/schema/schema.ts';
import type { Verdict } from '../../analysis/violation.ts';
import type { Catalogue } from '../../catalogue.ts';
import { AppError } from '../../errors.ts';
import type { Comparison } from '../../migrations/compare.ts';
import type { History } from '../../migrations/history.ts';
import { type Held, isPending, makePlan, type Plan } from '../../migrations/plan.ts';
import type { Bundle, Migration } from '../../migrations/read.ts';
import { version } from '../../version.ts';

export type { JsonMigration } from '../../analysis/reports/json.ts';
export { effects, severities } from '../../analysis/violation.ts';

/** What an analysis knows beside the migrations. */
export interface Surroundings {
  /** Of the database just before the first migration; null where there is none. */
  readonly catalogue: Catalogue | null;
  /** Where unqualified names are made; `public` when absent. */
  readonly defaultSchema?: string | undefined;
  readonly policy?: Policy | undefined;
  /** Text of the Prisma schema of the release that still runs. */
  readonly previousSchema: string | null;
}

export const formats = ['json', 'markdown', 'sarif'] as const;
export type Format = (typeof formats)[number];

export interface AnalysisRequest {
  /** In the order in which they are applied. */
  readonly migrations: readonly Migration[];
  /** Names of those that are to be judged; all where it is null. */
  readonly only: readonly string[] | null;
  /** Whether they are all that there is: else tables that they do not create exist all the same. */
  readonly complete: boolean;
  readonly surroundings: Surroundings;
  /** Content of `migration_lock.toml`; null where it is missing, undefined where there is no folder to hold it. */
  readonly lockFile?: string | null | undefined;
  readonly format: Format;
  readonly notices: boolean;
  /** The migrations directory below the repository's root, for SARIF. */
  readonly directory: string;
}

export interface AnalysisAnswer {
  readonly verdict: Verdict;
  /** The report as it is sent. */
  readonly text: string;
}

export interface PlanRequest {
  readonly bundle: Bundle;
  readonly history: History;
  readonly comparison: Comparison;
  readonly serverVersion: string;
  readonly surroundings: Surroundings;
  readonly held: Held | null;
}

export type Task =
  | { readonly kind: 'analyse'; readonly request: AnalysisRequest }
  | { readonly kind: 'plan'; readonly request: PlanRequest };

/** Needs `loadParser` to have run. */
export const perform = (task: Task, customRules: readonly Rule[]): AnalysisAnswer | Plan =>
  task.kind === 'plan' ? plan(task.request, customRules) : report(task.request, customRules);

function report(request: AnalysisRequest, customRules: readonly Rule[]): AnalysisAnswer {
  const { only, complete, surroundings, lockFile, format, notices, directory } = request;
  const migrations = request.migrations.map(revive);
  const analysis = analyse({
    migrations,
    ...(only === null ? {} : { reported: new Set(only) }),
    ...inputOf(surroundings, complete),
    lockFile,
    customRules,
  });
  const made = makeReport({ analysis, migrations, lockFile });
  const { verdict } = analysis;
  switch (format) {
    case 'json':
      return { verdict, text: JSON.stringify(toJson(made, { notices })) };
    case 'markdown':
      return { verdict, text: toMarkdown(made, { notices }) };
    case 'sarif': {
      const options = { notices, version, prefix: directory, customRules };
      return { verdict, text: JSON.stringify(toSarif(made, options)) };
    }
  }
}

function plan(request: PlanRequest, customRules: readonly Rule[]): Plan {
  const { history, comparison, serverVersion, surroundings, held } = request;
  const bundle = { ...request.bundle, migrations: request.bundle.migrations.map(revive) };
  const pending = new Set(comparison.migrations.filter(isPending).map(({ name }) => name));
  const analysis = analyse({
    migrations: bundle.migrations.filter(({ name }) => pending.has(name)),
    ...inputOf(surroundings, true),
    customRules,
  });
  // The analysis has carried its own over the migrations.
  const { schema } = inputOf(surroundings, true);
  return makePlan({
    bundle,
    history,
    comparison,
    serverVersion,
    analysis: analysisToJson(analysis, { notices: true }),
    schema,
    held,
  });
}

function inputOf(surroundings: Surroundings, complete: boolean) {
  const { catalogue, policy, previousSchema, defaultSchema = 'public' } = surroundings;
  return {
    schema:
      catalogue === null ? new Schema({ defaultSchema, complete }) : schemaFrom(catalogue, { defaultSchema }),
    facts: catalogue === null ? null : factsFrom(catalogue),
    previous: previousSchema === null ? null : modelsOf(previousSchema),
    defaultSchema,
    ...(policy === undefined ? {} : { policy }),
  };
}

function modelsOf(text: string): PrismaSchema {
  const schema = readPrismaSchema(text);
  if (schema.models.size === 0)
    throw new AppError(
      'PREVIOUS_SCHEMA_UNREADABLE',
      "The schema of the release that still runs has no model. Nothing was done. Give Prisma's schema file.",
    );
  return schema;
}

/** Of a buffer that has crossed the border only its bytes are left. */
const revive = ({ name, sql, checksum }: Migration): Migration => ({
  name,
  sql: Buffer.from(sql.buffer, sql.byteOffset, sql.byteLength),
  checksum,
});
