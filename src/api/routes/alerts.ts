import { AppError } from '../../errors.ts';
import type { App } from '../app.ts';
import { callerOf, maySee, requireAllDatabases } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { recordQuery, toPage } from '../paging.ts';
import { alert, alertPage, alertQuery, testAlertRequest } from '../schemas/alert.ts';
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
}
