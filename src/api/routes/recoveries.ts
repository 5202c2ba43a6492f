import type { Job, Recovery } from '../../db/control/generated/client.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { recovery as kind } from '../../jobs/kinds/recovery.ts';
import { databaseFor } from '../authentication.ts';
import { defineRecordRoutes } from '../define-record-routes.ts';
import { recordQuery } from '../paging.ts';
import { recovery, recoveryRequest } from '../schemas/recovery.ts';
import { jobSummaryView } from '../views.ts';

export const recoveries = defineRecordRoutes({
  name: 'recoveries',
  singular: 'recovery',
  summary: "Bring a database's history in line with what the database is",
  body: recoveryRequest,
  record: recovery,
  notFound: 'RECOVERY_NOT_FOUND',
  async submit(deps, caller, { database, ...payload }) {
    databaseFor(caller, deps.config, database);
    return enqueue(deps, { kind, database, payload, requestedBy: caller.name });
  },
  async list({ control }, caller, request) {
    const found = await control.prisma.recovery.findMany({
      ...recordQuery(caller, request),
      include: { job: true },
    });
    return found.map(view);
  },
  async find({ control }, id) {
    const found = await control.prisma.recovery.findUnique({ where: { id }, include: { job: true } });
    return found && view(found);
  },
});

const actions = recovery.shape.action;

const view = (row: Recovery & { job: Job }) => ({
  ...row,
  action: actions.parse(row.action),
  job: jobSummaryView(row.job),
});
