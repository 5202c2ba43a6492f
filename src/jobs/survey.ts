import type { Allowance, DatabaseConfig } from '../config.ts';
import type { Control } from '../db/control/control.ts';
import { withSession } from '../db/session.ts';
import { parseTarget } from '../db/target.ts';
import { type Comparison, compare } from '../migrations/compare.ts';
import { allow, checkAllowances } from '../migrations/fault.ts';
import { type History, readHistory } from '../migrations/history.ts';
import { makePlan, type Plan } from '../migrations/plan.ts';
import type { Bundle } from '../migrations/read.ts';
import { loadParser } from '../sql/parse.ts';
import { loadBundle } from './bundles.ts';

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
  readonly database: DatabaseConfig;
  readonly bundleId?: string | undefined;
  /** Beside those of the database's policy. */
  readonly allow?: readonly Allowance[];
}

/**
 * Reads bundle and history, and plans what is pending. Reads only.
 * @throws AppError those of `loadBundle`, `ALLOWANCE_UNKNOWN`, `DATABASE_UNREACHABLE`
 */
export async function survey(request: SurveyRequest): Promise<Survey> {
  return surveyBundle(request, await loadBundle(request.control, request.database, request.bundleId));
}

/** As `survey`, for a bundle that is loaded. */
export async function surveyBundle(request: SurveyRequest, bundle: Bundle): Promise<Survey> {
  const { database } = request;
  const allowances = [...database.policy.allow, ...(request.allow ?? [])];
  checkAllowances(allowances);
  const target = parseTarget(database.url);
  const { history, serverVersion } = await withSession(
    target,
    { applicationName: 'switchback:survey', doing: 'reading the migration history' },
    async (session) => {
      const { rows } = await session.query<{ version: string }>(
        "select pg_catalog.current_setting('server_version') as version",
      );
      return { history: await readHistory(session, target.schema), serverVersion: rows[0]?.version ?? '' };
    },
  );
  await loadParser();
  const comparison = compare(bundle, history, database.policy);
  const plan = makePlan({ bundle, history, comparison, serverVersion });
  return {
    bundle,
    history,
    comparison,
    serverVersion,
    plan: { ...plan, faults: allow(plan.faults, allowances) },
  };
}
