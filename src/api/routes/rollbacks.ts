import type { Job, Rollback } from '../../db/control/generated/client.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { rollback as kind } from '../../jobs/kinds/rollback.ts';
import { databaseFor, requireScope } from '../authentication.ts';
import { defineRecordRoutes } from '../define-record-routes.ts';
import { recordQuery } from '../paging.ts';
import { rollback, rollbackRequest } from '../schemas/rollback.ts';
import { jobSummaryView } from '../views.ts';

export const rollbacks = defineRecordRoutes({
  name: 'rollbacks',
  singular: 'rollback',
  summary:
    'Roll back the last applied migrations of a database: those of a deployment, a number, or all after one',
  body: rollbackRequest,
  record: rollback,
  notFound: 'ROLLBACK_NOT_FOUND',
  async submit(deps, caller, { database, ...payload }) {
    databaseFor(caller, deps.config, database);
    if (payload.allow.length > 0) requireScope(caller, 'approve', 'To allow what would stop a rollback');
    return enqueue(deps, { kind, database, payload, requestedBy: caller.name });
  },
  async list({ control }, caller, request) {
    const found = await control.prisma.rollback.findMany({
      ...recordQuery(caller, request),
      omit: { plan: true, report: true },
      include: { job: true },
    });
    return found.map(view);
  },
  async find({ control }, id) {
    const found = await control.prisma.rollback.findUnique({ where: { id }, include: { job: true } });
    return found && view(found);
  },
});

const view = <Row extends Omit<Rollback, 'plan' | 'report'> & { job: Job }>(row: Row) => ({
  ...row,
  job: jobSummaryView(row.job),
});
