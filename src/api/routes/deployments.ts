import type { Deployment, Job } from '../../db/control/generated/client.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { deployment as kind } from '../../jobs/kinds/deployment.ts';
import { databaseFor, requireScope } from '../authentication.ts';
import { defineRecordRoutes } from '../define-record-routes.ts';
import { recordQuery } from '../paging.ts';
import { deployment, deploymentRequest } from '../schemas/deployment.ts';
import { jobSummaryView } from '../views.ts';

export const deployments = defineRecordRoutes({
  name: 'deployments',
  singular: 'deployment',
  summary: 'Apply the pending migrations of a database',
  body: deploymentRequest,
  record: deployment,
  notFound: 'DEPLOYMENT_NOT_FOUND',
  async submit(deps, caller, { database, bundle, plan, allow, restore }) {
    databaseFor(caller, deps.config, database);
    if (allow.length > 0) requireScope(caller, 'approve', 'To allow what would stop a deployment');
    return enqueue(deps, {
      kind,
      database,
      payload: { bundle, plan, allow, restore },
      requestedBy: caller.name,
    });
  },
  async list({ control }, caller, request) {
    const found = await control.prisma.deployment.findMany({
      ...recordQuery(caller, request),
      // Of a folder with thousands of migrations, a page of plans and reports would be hundreds of megabytes.
      omit: { plan: true, report: true },
      include: { job: true },
    });
    return found.map(view);
  },
  async find({ control }, id) {
    const found = await control.prisma.deployment.findUnique({ where: { id }, include: { job: true } });
    return found && view(found);
  },
});

const view = <Row extends Omit<Deployment, 'plan' | 'report'> & { job: Job }>(row: Row) => ({
  ...row,
  job: jobSummaryView(row.job),
});
