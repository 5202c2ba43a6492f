import type { Job, RollbackTest } from '../../db/control/generated/client.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { rollbackTest as kind } from '../../jobs/kinds/rollback-test.ts';
import { databaseFor } from '../authentication.ts';
import { defineRecordRoutes } from '../define-record-routes.ts';
import { recordQuery } from '../paging.ts';
import { rollbackTest, rollbackTestRequest } from '../schemas/rollback-test.ts';
import { jobSummaryView } from '../views.ts';

export const rollbackTests = defineRecordRoutes({
  name: 'rollback-tests',
  singular: 'rollback test',
  summary: 'Prove the ways back of migrations in scratch databases; nothing else is touched',
  body: rollbackTestRequest,
  record: rollbackTest,
  notFound: 'ROLLBACK_TEST_NOT_FOUND',
  async submit(deps, caller, { database, ...payload }) {
    databaseFor(caller, deps.config, database);
    return enqueue(deps, { kind, database, payload, requestedBy: caller.name });
  },
  async list({ control }, caller, request) {
    const found = await control.prisma.rollbackTest.findMany({
      ...recordQuery(caller, request),
      omit: { outcome: true },
      include: { job: true },
    });
    return found.map(view);
  },
  async find({ control }, id) {
    const found = await control.prisma.rollbackTest.findUnique({ where: { id }, include: { job: true } });
    return found && view(found);
  },
});

const view = <Row extends Omit<RollbackTest, 'outcome'> & { job: Job }>(row: Row) => ({
  ...row,
  job: jobSummaryView(row.job),
});
