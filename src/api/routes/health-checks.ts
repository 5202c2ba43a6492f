import type { HealthCheck, Job } from '../../db/control/generated/client.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { healthCheck as kind } from '../../jobs/kinds/health-check.ts';
import { requireAllDatabases } from '../authentication.ts';
import { defineRecordRoutes } from '../define-record-routes.ts';
import { pageOfAll } from '../paging.ts';
import { healthCheck, healthCheckRequest } from '../schemas/health-check.ts';
import { jobSummaryView } from '../views.ts';

export const healthChecks = defineRecordRoutes({
  name: 'health-checks',
  singular: 'health check',
  summary: 'Check every configured database',
  body: healthCheckRequest,
  record: healthCheck,
  notFound: 'HEALTH_CHECK_NOT_FOUND',
  async submit(deps, caller) {
    requireAllDatabases(caller, 'A health check');
    return enqueue(deps, { kind, database: null, payload: {}, requestedBy: caller.name });
  },
  async list({ control }, caller, { database, ...page }) {
    // A health check concerns all databases: a list of one database's has none.
    if (caller.databases !== null || database !== undefined) return [];
    const found = await control.prisma.healthCheck.findMany({ ...pageOfAll(page), include: { job: true } });
    return found.map(view);
  },
  async find({ control }, id) {
    const found = await control.prisma.healthCheck.findUnique({ where: { id }, include: { job: true } });
    return found && view(found);
  },
});

const view = (row: HealthCheck & { job: Job }) => ({ ...row, database: null, job: jobSummaryView(row.job) });
