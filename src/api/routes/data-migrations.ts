import type { FastifyRequest } from 'fastify';
import {
  askForDataMigration,
  cancelDataMigrationJob,
  changeDataMigration,
} from '../../jobs/data-migrations/ask-for.ts';
import { bundledDataMigration } from '../../jobs/data-migrations/bundled.ts';
import {
  type DataMigrationRecord,
  findDataMigration,
  inState,
  notFound,
  specOf,
  stateOf,
} from '../../jobs/data-migrations/records.ts';
import { writtenNameOf } from '../../jobs/data-migrations/targets.ts';
import { requireUndoable } from '../../jobs/data-migrations/undo.ts';
import { enqueue } from '../../jobs/enqueue.ts';
import { dataMigrationDryRun } from '../../jobs/kinds/data-migration-dry-run.ts';
import { dataMigrationUndo } from '../../jobs/kinds/data-migration-undo.ts';
import type { App } from '../app.ts';
import { type Caller, callerOf, databaseFor, maySee } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { recordQuery, toPage } from '../paging.ts';
import * as schemas from '../schemas/data-migration.ts';
import { idParameter } from '../schemas/job.ts';
import { accepted } from '../schemas/record.ts';
import { jobSummaryView } from '../views.ts';

const tags = ['data-migrations'];
const path = '/api/data-migrations';

export function dataMigrations(app: App, deps: ApiDependencies): void {
  const { config, control } = deps;

  app.route({
    method: 'POST',
    url: path,
    config: { access: 'operate', idempotent: true },
    schema: {
      tags,
      operationId: 'createDataMigration',
      summary: 'Change, copy, move or delete the rows of a table in batches, beside the application',
      body: schemas.dataMigrationRequest,
      response: { 202: accepted },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request);
      const { database, flag, dryRun, bundle, name = '', spec: given } = request.body;
      const registered = databaseFor(caller, config, database);
      const spec = given ?? (await bundledDataMigration(control, registered, bundle, name));
      databaseFor(caller, config, writtenNameOf(database, spec));
      const requestedBy = caller.name;
      const { jobId, recordId, createdAt } = await (dryRun
        ? enqueue(deps, { kind: dataMigrationDryRun, database, payload: { spec }, requestedBy })
        : askForDataMigration(deps, { database, spec, flag: flag ?? null, requestedBy }));
      reply.code(202).header('location', `/api/jobs/${jobId}`);
      return { id: recordId, job: queued(jobId), createdAt, requestedBy };
    },
  });

  app.route({
    method: 'GET',
    url: path,
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'listDataMigrations',
      summary: 'List data migrations, newest first',
      querystring: schemas.dataMigrationQuery,
      response: { 200: schemas.dataMigrationPage },
    },
    handler: async (request) => {
      const caller = callerOf(request);
      const { name, state, ...query } = request.query;
      const { where, ...page } = recordQuery(caller, query);
      const seen = caller.databases === null ? {} : { writtenDatabase: { in: [...caller.databases] } };
      const found = await control.prisma.dataMigration.findMany({
        ...page,
        where: { AND: [where, seen, { name }, state === undefined ? {} : inState(state)] },
        omit: { report: true },
        include: { job: true },
      });
      return toPage(found.map(view), query.limit, ({ id }) => id);
    },
  });

  app.route({
    method: 'GET',
    url: `${path}/:id`,
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'getDataMigration',
      summary: 'Read a data migration: how far it is, how fast, what holds it up, what its validation says',
      params: idParameter,
      response: { 200: schemas.dataMigration },
    },
    handler: async (request) => view(await readDataMigration(deps, request, request.params.id)),
  });

  app.route({
    method: 'PATCH',
    url: `${path}/:id`,
    config: { access: 'operate' },
    schema: {
      tags,
      operationId: 'changeDataMigration',
      summary: 'Pause or resume a data migration, or change its parallelism, pace or limits while it runs',
      params: idParameter,
      body: schemas.dataMigrationChange,
      response: { 200: schemas.dataMigration },
    },
    handler: async (request) => {
      const { id } = await readDataMigration(deps, request, request.params.id);
      return view(await changeDataMigration(deps, id, request.body, callerOf(request).name));
    },
  });

  for (const [verb, summary] of [
    ['pause', 'Let a data migration stand still after the batches at hand'],
    ['resume', 'Go on with a data migration that is paused or has failed'],
  ] as const)
    app.route({
      method: 'POST',
      url: `${path}/:id/${verb}`,
      config: { access: 'operate', idempotent: true },
      schema: {
        tags,
        operationId: `${verb}DataMigration`,
        summary,
        params: idParameter,
        response: { 202: schemas.dataMigration },
      },
      handler: async (request, reply) => {
        const { id } = await readDataMigration(deps, request, request.params.id);
        const change = { paused: verb === 'pause' };
        const record = await changeDataMigration(deps, id, change, callerOf(request).name);
        reply.code(202).header('location', `/api/jobs/${record.jobId}`);
        return view(record);
      },
    });

  app.route({
    method: 'POST',
    url: `${path}/:id/cancel`,
    config: { access: 'operate' },
    schema: {
      tags,
      operationId: 'cancelDataMigration',
      summary: 'End a data migration for good: its batches stand, its triggers go, its flag is turned off',
      params: idParameter,
      response: { 202: schemas.dataMigration },
    },
    handler: async (request, reply) => {
      const { id } = await readDataMigration(deps, request, request.params.id);
      const record = await cancelDataMigrationJob(deps, id, callerOf(request).name);
      reply.code(202).header('location', `/api/jobs/${record.jobId}`);
      return view(record);
    },
  });

  app.route({
    method: 'POST',
    url: `${path}/:id/undo`,
    config: { access: 'operate', idempotent: true },
    schema: {
      tags,
      operationId: 'undoDataMigration',
      summary: 'Give a table that a `shadow` has changed its old form back, with all that was written since',
      params: idParameter,
      response: { 202: accepted },
    },
    handler: async (request, reply) => {
      const { name: requestedBy } = callerOf(request);
      const record = await readDataMigration(deps, request, request.params.id);
      requireUndoable(record);
      const { jobId, createdAt } = await enqueue(deps, {
        ...{ kind: dataMigrationUndo, database: record.database, requestedBy },
        payload: { dataMigration: record.id },
      });
      reply.code(202).header('location', `/api/jobs/${jobId}`);
      return { id: record.id, job: queued(jobId), createdAt, requestedBy };
    },
  });
}

/** One that the caller may see: its token is for both databases. @throws AppError `DATA_MIGRATION_NOT_FOUND` */
export async function readDataMigration(
  { control }: ApiDependencies,
  request: FastifyRequest,
  id: string,
): Promise<DataMigrationRecord> {
  const caller: Caller = callerOf(request);
  const record = await findDataMigration(control, id);
  if (record === null || !maySee(caller, record.database) || !maySee(caller, record.writtenDatabase))
    throw notFound(id);
  return record;
}

export const queued = (id: string) => ({ id, state: 'queued' as const, step: null, percent: 0, error: null });

const shape = schemas.dataMigration.shape;

function view(record: Omit<DataMigrationRecord, 'report'> & { readonly report?: unknown }) {
  const { job, jobId: _, changes: __, paused, ended: ___, ...row } = record;
  return {
    ...row,
    state: stateOf(record),
    spec: specOf({ spec: row.spec, control: {} }),
    control: shape.control.parse({ ...(row.control as object), paused }),
    progress: shape.progress.parse(row.progress),
    throttle: shape.throttle.parse(row.throttle),
    validation: shape.validation.parse(row.validation),
    job: jobSummaryView(job),
  };
}
