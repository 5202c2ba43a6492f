import type { FastifyTypeProviderDefault } from 'fastify';
import { z } from 'zod';
import { AppError, type ErrorCode } from '../errors.ts';
import type { Enqueued } from '../jobs/enqueue.ts';
import type { App } from './app.ts';
import { type Caller, callerOf, maySee } from './authentication.ts';
import type { ApiDependencies } from './dependencies.ts';
import { type PageRequest, pageOf, pageQuery, toPage } from './paging.ts';
import { databaseName, idParameter } from './schemas/job.ts';
import { accepted } from './schemas/record.ts';

/** A record as the API shows it. `database` is null where the operation concerns all of them. */
export interface RecordView {
  readonly id: string;
  readonly database: string | null;
}

export type ListRequest = PageRequest & { readonly database?: string | undefined };

/**
 * A kind of operation as a resource: `POST` asks for one, `GET` lists and reads the records.
 * To add one: a file in `routes/`, a line in `routes/index.ts`.
 */
export interface RecordResource<Body, View extends RecordView> {
  /** Plural, as in the path. */
  readonly name: string;
  readonly singular: string;
  readonly summary: string;
  readonly body: z.ZodType<Body>;
  readonly record: z.ZodType<View>;
  readonly notFound: ErrorCode;
  /** Enqueues the job, after checking what the schema cannot: the caller's rights among it. */
  submit(deps: ApiDependencies, caller: Caller, body: Body): Promise<Enqueued>;
  /** One page of what the caller may see, newest first, and one entry more. */
  list(deps: ApiDependencies, caller: Caller, request: ListRequest): Promise<View[]>;
  find(deps: ApiDependencies, id: string, caller: Caller): Promise<View | null>;
}

const listQuery = z.strictObject({ ...pageQuery, database: databaseName.optional() });

/** The three routes of a kind of operation. */
export const defineRecordRoutes =
  <Body, View extends RecordView>(resource: RecordResource<Body, View>) =>
  (app: App, deps: ApiDependencies): void => {
    const { name, singular, record } = resource;
    const path = `/api/${name}`;
    const title = pascalCase(singular);
    // The schemas are type parameters here, which the type provider cannot look into.
    const routes = app.withTypeProvider<FastifyTypeProviderDefault>();

    const read = async (caller: Caller, id: string): Promise<View> => {
      const found = await resource.find(deps, id, caller);
      if (found === null || !maySee(caller, found.database))
        throw new AppError(resource.notFound, `There is no ${singular} ${id}.`, { id });
      return found;
    };

    routes.route({
      method: 'POST',
      url: path,
      config: { access: 'operate', idempotent: true },
      schema: {
        tags: [name],
        operationId: `create${title}`,
        summary: resource.summary,
        body: resource.body,
        response: { 202: accepted },
      },
      handler: async (request, reply) => {
        const caller = callerOf(request);
        const { jobId, recordId, createdAt } = await resource.submit(deps, caller, request.body as Body);
        reply.code(202).header('location', `/api/jobs/${jobId}`);
        const job = { id: jobId, state: 'queued', step: null, percent: 0, error: null };
        return { id: recordId, job, createdAt, requestedBy: caller.name };
      },
    });

    routes.route<{ Querystring: ListRequest }>({
      method: 'GET',
      url: path,
      config: { access: 'read' },
      schema: {
        tags: [name],
        operationId: `list${title}s`,
        summary: `List ${name}, newest first`,
        querystring: listQuery,
        response: { 200: pageOf(record, `${title}Page`) },
      },
      handler: async (request) => {
        const found = await resource.list(deps, callerOf(request), request.query);
        return toPage(found, request.query.limit, (item) => item.id);
      },
    });

    routes.route<{ Params: { id: string } }>({
      method: 'GET',
      url: `${path}/:id`,
      config: { access: 'read' },
      schema: {
        tags: [name],
        operationId: `get${title}`,
        summary: `Read one of the ${name}`,
        params: idParameter,
        response: { 200: record },
      },
      handler: (request) => read(callerOf(request), request.params.id),
    });
  };

const pascalCase = (words: string): string =>
  words.replace(/(?:^|[ -])(\w)/g, (_, letter: string) => letter.toUpperCase());
