import type { Catalogue } from '../../catalogue.ts';
import type { Allowance, DatabaseConfig } from '../../config.ts';
import { readCatalogue } from '../../db/catalogue.ts';
import type { Control } from '../../db/control/control.ts';
import { quoteIdentifier } from '../../db/quote.ts';
import { withSession } from '../../db/session.ts';
import { parseTarget } from '../../db/target.ts';
import { type Comparison, compare } from '../../migrations/compare.ts';
import { estimateKept, removes } from '../../migrations/estimate-kept.ts';
import { allow, checkAllowances } from '../../migrations/fault.ts';
import { type History, readHistory } from '../../migrations/history.ts';
import { isPending, makePlan, type Plan } from '../../migrations/plan.ts';
import type { Bundle } from '../../migrations/read.ts';
import type { Analyst } from '../analysis/analyst.ts';
import { surroundingsOf } from '../analysis/surroundings.ts';
import { loadBundle } from './bundles.ts';
import { holdBack } from './hold-back.ts';

/** A bundle held against a database as it is now. */
export interface Survey {
  readonly bundle: Bundle;
  readonly history: History;
  readonly comparison: Comparison;
  readonly serverVersion: string;
  readonly plan: Plan;
}

export interface SurveyRequest {
  readonly control: Control;
  readonly analyst: Analyst;
  readonly database: DatabaseConfig;
  readonly bundleId?: string | undefined;
  /** Beside those of the database's policy. */
  readonly allow?: readonly Allowance[];
}

/**
 * Reads bundle and history, and plans what is pending. Reads only.
 * @throws AppError those of `loadBundle`, of `Analyst` and of `surroundingsOf`, `ALLOWANCE_UNKNOWN`,
 * `DATABASE_UNREACHABLE`
 */
export async function survey(request: SurveyRequest): Promise<Survey> {
  return surveyBundle(request, await loadBundle(request.control, request.database, request.bundleId));
}

/** As `survey`, for a bundle that is loaded. */
export async function surveyBundle(request: SurveyRequest, bundle: Bundle): Promise<Survey> {
  const { analyst, database } = request;
  const allowances = [...database.policy.allow, ...(request.allow ?? [])];
  checkAllowances(allowances, analyst.rules);
  const { catalogue, ...found } = await look(database, bundle);
  const { held, faults, comparison } = await holdBack(request, bundle, found.comparison, allowances);
  const planned = { bundle, ...found, comparison, held };
  const plan =
    catalogue === null
      ? makePlan(planned)
      : await analyst.plan({ ...planned, surroundings: await surroundingsOf(database, catalogue) });
  const estimated = removes(plan.migrations) ? await estimate(database, plan) : plan;
  return {
    bundle,
    ...found,
    plan: { ...estimated, faults: [...faults, ...allow(estimated.faults, allowances)] },
  };
}

/** How much of what the plan removes the vault would take in. */
const estimate = (database: DatabaseConfig, plan: Plan): Promise<Plan> =>
  withSession(
    parseTarget(database.url),
    { applicationName: 'switchback:survey', doing: 'estimating what the vault would keep' },
    async (session) => {
      const { schema } = session.target;
      // As the migrations' names are looked up.
      await session.query(`set search_path = ${quoteIdentifier(schema)}`);
      return estimateKept(session, plan, database.policy.vault);
    },
  );

/**
 * What a database is now. Reads only.
 * @param options `always`: read its catalogue also where nothing is pending
 * @throws AppError `DATABASE_UNREACHABLE`
 */
export async function look(
  database: DatabaseConfig,
  bundle: Bundle,
  { always = false }: { always?: boolean } = {},
): Promise<Omit<Survey, 'bundle' | 'plan'> & { catalogue: Catalogue | null }> {
  const target = parseTarget(database.url);
  return withSession(
    target,
    { applicationName: 'switchback:survey', doing: 'reading the migration history' },
    async (session) => {
      const { rows } = await session.query<{ version: string }>(
        "select pg_catalog.current_setting('server_version') as version",
      );
      const history = await readHistory(session, target.schema);
      const comparison = compare(bundle, history, database.policy);
      return {
        history,
        comparison,
        serverVersion: rows[0]?.version ?? '',
        catalogue: always || comparison.migrations.some(isPending) ? await readCatalogue(session) : null,
      };
    },
  );
}
