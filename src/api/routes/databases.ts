import type { DatabaseConfig } from '../../config.ts';
import type { Job } from '../../db/control/generated/client.ts';
import { AppError } from '../../errors.ts';
import { inspectDatabase } from '../../jobs/deployments/inspect.ts';
import { inspectMigration } from '../../jobs/deployments/inspect-migration.ts';
import { inspectWayBack } from '../../jobs/rollbacks/inspect-way-back.ts';
import type { App } from '../app.ts';
import { callerOf, databaseFor, maySee } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { keyOf, type Page, type PageRequest, toPage } from '../paging.ts';
import { analysisOfMigration } from '../schemas/analysis.ts';
import * as schemas from '../schemas/database.ts';
import { jobState } from '../schemas/job.ts';
import { plannedMigration as planned } from '../schemas/plan.ts';
import { wayBack, wayBackQuery } from '../schemas/rollback-test.ts';

const tags = ['databases'];

export function databases(app: App, deps: ApiDependencies): void {
  const { config, control } = deps;

  const activeJobs = (shown: readonly DatabaseConfig[]): Promise<Job[]> =>
    control.prisma.job.findMany({
      where: {
        exclusive: true,
        state: { in: ['queued', 'running'] },
        database: { in: shown.map((database) => database.name) },
      },
    });

  app.route({
    method: 'GET',
    url: '/api/databases',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'listDatabases',
      summary: 'List the databases of the token, by name',
      querystring: schemas.databaseQuery,
      response: { 200: schemas.databasePage },
    },
    handler: async (request) => {
      const caller = callerOf(request);
      const seen = config.databases.filter((database) => maySee(caller, database.name));
      const { items, nextCursor } = pageByName(seen, request.query);
      const active = await activeJobs(items);
      return { items: items.map((item) => view(item, active)), nextCursor };
    },
  });

  app.route({
    method: 'GET',
    url: '/api/databases/:name',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'getDatabase',
      summary: 'Read the state of a database: its migrations in numbers, and what would stop a deployment',
      params: schemas.databaseParameter,
      response: { 200: schemas.databaseState },
    },
    handler: async (request) => {
      const database = databaseFor(callerOf(request), config, request.params.name);
      const { serverVersion, error, counts, faults } = await inspectDatabase(deps, database.name);
      const facts = { serverVersion, error, migrations: counts, faults: [...faults] };
      return { ...view(database, await activeJobs([database])), ...facts };
    },
  });

  app.route({
    method: 'GET',
    url: '/api/databases/:name/migrations',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'listMigrations',
      summary: 'List the migrations of a database with their states, in order',
      params: schemas.databaseParameter,
      querystring: schemas.migrationQuery,
      response: { 200: schemas.migrationPage },
    },
    handler: async (request) => {
      const { name } = databaseFor(callerOf(request), config, request.params.name);
      const { bundle, ...page } = request.query;
      const { migrations, error } = await inspectDatabase(deps, name, { bundleId: bundle });
      if (error !== null) throw new AppError(error.code, error.detail, error.details);
      return pageByName(migrations, page);
    },
  });

  app.route({
    method: 'GET',
    url: '/api/databases/:name/migrations/:migration',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'getMigration',
      summary:
        'Read one migration of a database: its text, how it would be run, what it does, and what became of it',
      params: schemas.migrationParameter,
      response: { 200: schemas.migrationDetail },
    },
    handler: async (request) => {
      const { migration } = request.params;
      const { name } = databaseFor(callerOf(request), config, request.params.name);
      const found = await inspectMigration(deps, name, migration);
      if (found === null)
        throw new AppError('MIGRATION_NOT_FOUND', `${name} has no migration "${migration}".`, { migration });
      return {
        ...found,
        planned: found.planned && planned.parse(found.planned),
        faults: [...found.faults],
        analysis: found.analysis && analysisOfMigration.parse(found.analysis),
        log: found.log && { ...found.log },
      };
    },
  });

  app.route({
    method: 'GET',
    url: '/api/databases/:name/migrations/:migration/rollback',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'getWayBack',
      summary: 'Read how a migration is taken back, and what came of trying it; or the text alone',
      params: schemas.migrationParameter,
      querystring: wayBackQuery,
      response: { 200: wayBack },
    },
    handler: async (request, reply) => {
      const { name } = databaseFor(callerOf(request), config, request.params.name);
      const found = await inspectWayBack(deps, name, request.params.migration);
      if (request.query.format === 'json')
        return { ...wayBack.parse({ ...found, reasons: [...found.reasons] }) };
      return reply
        .header('content-disposition', 'attachment; filename="rollback.sql"')
        .type('application/sql; charset=utf-8')
        .serializer(String)
        .send(found.sql as never);
    },
  });
}

function view(database: DatabaseConfig, active: readonly Job[]) {
  const { name, environment, policy, healthUrls } = database;
  const job = active.find((item) => item.database === name);
  return {
    name,
    environment,
    policy: { ...policy, throttle: withoutQueries(policy.throttle) },
    healthUrls: healthUrls.map(withoutQuery),
    activeJob: job === undefined ? null : { id: job.id, kind: job.kind, state: jobState.parse(job.state) },
  };
}

/** A query may hold a key. */
const withoutQuery = (url: string): string => url.split('?', 1)[0] ?? '';

function withoutQueries({ latency, disk, ...limits }: DatabaseConfig['policy']['throttle']) {
  return {
    ...limits,
    latency: latency && { ...latency, url: withoutQuery(latency.url) },
    disk: disk !== null && 'url' in disk ? { ...disk, url: withoutQuery(disk.url) } : disk,
  };
}

/** Pages what is known by name, and sorted by it. */
function pageByName<Item extends { name: string }>(items: readonly Item[], request: PageRequest): Page<Item> {
  const last = request.cursor === undefined ? null : keyOf(request.cursor, /^.{1,255}$/s);
  const from = last === null ? 0 : items.findIndex((item) => item.name === last) + 1;
  if (last !== null && from === 0)
    throw new AppError('INVALID_CURSOR', 'What the cursor points to is gone: begin with the first page.');
  return toPage(items.slice(from, from + request.limit + 1), request.limit, (item) => item.name);
}
