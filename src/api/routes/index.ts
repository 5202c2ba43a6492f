import type { App } from '../app.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { alerts } from './alerts.ts';
import { analyses } from './analyses.ts';
import { backups } from './backups.ts';
import { bundles } from './bundles.ts';
import { dataMigrations } from './data-migrations.ts';
import { databases } from './databases.ts';
import { deployments } from './deployments.ts';
import { documents } from './documents.ts';
import { drift } from './drift.ts';
import { flags } from './flags.ts';
import { health } from './health.ts';
import { healthChecks } from './health-checks.ts';
import { jobs } from './jobs.ts';
import { metrics } from './metrics.ts';
import { ofrep } from './ofrep.ts';
import { plans } from './plans.ts';
import { quarantine } from './quarantine.ts';
import { recoveries } from './recoveries.ts';
import { rollbackTests } from './rollback-tests.ts';
import { rollbacks } from './rollbacks.ts';
import { validations } from './validations.ts';
import { vault } from './vault.ts';

/** The routes of one resource. To add some: a file here, a line below. */
export type Routes = (app: App, deps: ApiDependencies) => void;

export const routes: readonly Routes[] = [
  databases,
  drift,
  bundles,
  analyses,
  plans,
  deployments,
  rollbacks,
  rollbackTests,
  dataMigrations,
  quarantine,
  validations,
  vault,
  backups,
  recoveries,
  healthChecks,
  jobs,
  alerts,
  flags,
  ofrep,
  health,
  metrics,
  documents,
];
