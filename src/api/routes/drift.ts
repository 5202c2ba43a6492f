import { AppError } from '../../errors.ts';
import type { Drift } from '../../jobs/drift/drift.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { driftCheck } from '../../jobs/kinds/drift-check.ts';
import type { App } from '../app.ts';
import { callerOf, databaseFor } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import * as databases from '../schemas/database.ts';
import * as schemas from '../schemas/drift.ts';
import { accepted } from '../schemas/record.ts';

const tags = ['databases'];
const url = '/api/databases/:name/drift';

/** Whether a database is what its migrations make: asked for as a job, and read from the last one. */
export function drift(app: App, deps: ApiDependencies): void {
  const { config, control } = deps;

  app.route({
    method: 'POST',
    url,
    config: { access: 'operate', idempotent: true },
    schema: {
      tags,
      operationId: 'checkDrift',
      summary: 'Hold the schema of a database against what its applied migrations make',
      params: databases.databaseParameter,
      response: { 202: accepted },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request);
      const { name: database } = databaseFor(caller, config, request.params.name);
      const { jobId, recordId, createdAt } = await enqueue(deps, {
        kind: driftCheck,
        database,
        payload: {},
        requestedBy: caller.name,
      });
      reply.code(202).header('location', `/api/jobs/${jobId}`);
      const job = { id: jobId, state: 'queued' as const, step: null, percent: 0, error: null };
      return { id: recordId, job, createdAt, requestedBy: caller.name };
    },
  });

  app.route({
    method: 'GET',
    url,
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'getDrift',
      summary: 'Read what the last drift check of a database found, with SQL for both directions',
      params: databases.databaseParameter,
      response: { 200: schemas.drift },
    },
    handler: async (request) => {
      const { name } = databaseFor(callerOf(request), config, request.params.name);
      const last = await control.prisma.job.findFirst({
        where: { kind: driftCheck.name, database: name, state: 'succeeded' },
        orderBy: { id: 'desc' },
      });
      if (last === null)
        throw new AppError(
          'DRIFT_NOT_CHECKED',
          `The schema of ${name} has not been held against its migrations so far. POST ${url.replace(':name', name)} does it.`,
        );
      const { ...found } = last.result as unknown as Drift;
      return schemas.drift.parse({ ...found, checkedAt: last.finishedAt, jobId: last.id });
    },
  });
}
