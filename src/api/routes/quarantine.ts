import {
  mendQuarantined,
  type QuarantinedRow,
  readQuarantine,
} from '../../jobs/data-migrations/quarantine.ts';
import { requireUncancelled } from '../../jobs/data-migrations/records.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { dataMigrationRetry } from '../../jobs/kinds/data-migration-retry.ts';
import type { App } from '../app.ts';
import { callerOf } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { keyOf, toPage } from '../paging.ts';
import * as schemas from '../schemas/data-migration.ts';
import { idParameter } from '../schemas/job.ts';
import { accepted } from '../schemas/record.ts';
import { queued, readDataMigration } from './data-migrations.ts';

const tags = ['data-migrations'];
const path = '/api/data-migrations/:id/quarantine';

export function quarantine(app: App, deps: ApiDependencies): void {
  app.route({
    method: 'GET',
    url: path,
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'listQuarantine',
      summary: 'List the rows at fault of a data migration with their errors, in the order of their finding',
      params: idParameter,
      querystring: schemas.quarantineQuery,
      response: { 200: schemas.quarantinePage },
    },
    handler: async (request) => {
      const record = await readDataMigration(deps, request, request.params.id);
      const { cursor, limit } = request.query;
      const found = await readQuarantine(deps.config, record, {
        limit: limit + 1,
        ...(cursor === undefined ? {} : { after: keyOf(cursor, /^[1-9]\d{0,17}$/) }),
      });
      return toPage(found.map(view), limit, ({ id }) => id);
    },
  });

  app.route({
    method: 'PATCH',
    url: `${path}/:row`,
    config: { access: 'operate' },
    schema: {
      tags,
      operationId: 'mendQuarantinedRow',
      summary: 'Set columns of a row at fault, in the table that is read; retry it afterwards',
      params: schemas.quarantineRowParameter,
      body: schemas.quarantineMend,
      response: { 200: schemas.quarantinedRow },
    },
    handler: async (request) => {
      const { id, row } = request.params;
      const record = await readDataMigration(deps, request, id);
      return view(await mendQuarantined(deps.config, record, row, request.body.set));
    },
  });

  app.route({
    method: 'POST',
    url: `${path}/retry`,
    config: { access: 'operate', idempotent: true },
    schema: {
      tags,
      operationId: 'retryQuarantine',
      summary: 'Try rows at fault once more, as they are by now',
      params: idParameter,
      body: schemas.quarantineRetry,
      response: { 202: accepted },
    },
    handler: async (request, reply) => {
      const { name: requestedBy } = callerOf(request);
      const record = await readDataMigration(deps, request, request.params.id);
      requireUncancelled(record);
      const payload = { dataMigration: record.id, ...request.body };
      const { jobId, createdAt } = await enqueue(deps, {
        ...{ kind: dataMigrationRetry, database: record.database, payload, requestedBy },
      });
      reply.code(202).header('location', `/api/jobs/${jobId}`);
      return { id: record.id, job: queued(jobId), createdAt, requestedBy };
    },
  });
}

const view = ({ key, error, ...row }: QuarantinedRow) => ({
  ...row,
  key: [...key],
  error: schemas.quarantinedRow.shape.error.parse(error),
});
