import { AppError } from '../../errors.ts';
import { raiseTestAlert, redeliverAlert } from '../../jobs/alerts.ts';
import type { App } from '../app.ts';
import { callerOf, maySee, requireAllDatabases } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { recordQuery, toPage } from '../paging.ts';
import { alertPage, alertQuery, deliveryJobs, testAlertRequest } from '../schemas/alert.ts';
import { idParameter } from '../schemas/job.ts';

const tags = ['alerts'];
const include = { deliveries: { orderBy: { id: 'asc' as const } } };

export function alerts(app: App, deps: ApiDependencies): void {
  const { control } = deps;

  app.route({
    method: 'GET',
    url: '/api/alerts',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'listAlerts',
      summary: 'List alerts and their deliveries, newest first',
      querystring: alertQuery,
      response: { 200: alertPage },
    },
    handler: async (request) => {
      const query = recordQuery(callerOf(request), request.query);
      const found = await control.prisma.alert.findMany({ ...query, include });
      return toPage(found, request.query.limit, (item) => item.id);
    },
  });

  app.route({
    method: 'POST',
    url: '/api/alerts/:id/redeliver',
    config: { access: 'operate', idempotent: true },
    schema: {
      tags,
      operationId: 'redeliverAlert',
      summary: 'Deliver an alert once more, to every sink',
      params: idParameter,
      response: { 202: deliveryJobs },
    },
    handler: async (request, reply) => {
      const { id } = request.params;
      const found = await control.prisma.alert.findUnique({ where: { id } });
      if (found === null || !maySee(callerOf(request), found.database))
        throw new AppError('ALERT_NOT_FOUND', `There is no alert ${id}.`, { id });
      reply.code(202);
      return { jobs: await redeliverAlert(deps, found) };
    },
  });

  app.route({
    method: 'POST',
    url: '/api/alerts/test',
    config: { access: 'operate', idempotent: true },
    schema: {
      tags,
      operationId: 'testAlert',
      summary: 'Send a test alert to every sink',
      body: testAlertRequest,
      response: { 202: deliveryJobs },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request);
      requireAllDatabases(caller, 'A test alert');
      reply.code(202);
      return { jobs: await raiseTestAlert(deps, caller.name) };
    },
  });
}
