import { setMaxListeners } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FastifyBaseLogger, type FastifyInstance, fastify, type RawServerDefault } from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Registry } from 'prom-client';
import { v7 as newId } from 'uuid';
import { AppError } from '../errors.ts';
import { type EventTails, openEventTails } from '../jobs/events.ts';
import { version } from '../version.ts';
import { callerOf, makeIdentify, requireScope } from './authentication.ts';
import type { ApiDependencies } from './dependencies.ts';
import { idempotencyHeaders, registerIdempotency } from './idempotency.ts';
import { loggingOptions } from './logging.ts';
import { measure } from './metrics.ts';
import { registerHelmet } from './plugins/helmet.ts';
import { registerRateLimit } from './plugins/rate-limit.ts';
import { registerSse } from './plugins/sse.ts';
import { registerSwagger } from './plugins/swagger.ts';
import { registerSwaggerUi } from './plugins/swagger-ui.ts';
import { problemType, routeNotFound, sendProblem } from './problem.ts';
import { routes } from './routes/index.ts';
import { problem } from './schemas/problem.ts';
import { validatorCompiler } from './validation.ts';

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborts when the application begins to close: streams and waits end then. */
    closing: AbortSignal;
    metrics: Registry;
    /** Readers of jobs' events, one per job for all clients of this process. */
    tails: EventTails;
  }
}

/** The HTTP application as a value: it has no port and no process. `listen` or `inject` make use of it. */
export async function buildApp(deps: ApiDependencies): Promise<App> {
  const { config, log } = deps;
  const app: App = fastify({
    ...loggingOptions(log),
    genReqId: () => newId(),
    trustProxy: config.http.trustProxy,
    bodyLimit: 1_048_576,
    // The whole request must have come by then; answers may take longer.
    requestTimeout: 120_000,
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.removeContentTypeParser('text/plain');
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request) => {
    throw routeNotFound(request);
  });

  prepareClosing(app, deps);
  app.decorate('metrics', measure(app, deps.control));

  documentRoutes(app);
  await registerHelmet(app);
  await registerSwagger(app, version);
  await registerSse(app);
  await registerAccess(app, deps);
  registerIdempotency(app, deps.control);
  await registerSwaggerUi(app);
  for (const route of routes) await app.register(async (scope: App) => route(scope, deps));
  await app.ready();
  return app;
}

/** Ends what would keep the application from closing: streams, waits, and connections that stay open for more. */
function prepareClosing(app: App, { control }: ApiDependencies): void {
  const closing = new AbortController();
  // Every open stream listens to it.
  setMaxListeners(0, closing.signal);
  const tails = openEventTails(control);
  app.decorate('closing', closing.signal);
  app.decorate('tails', tails);
  app.addHook('preClose', async () => closing.abort());
  app.addHook('onClose', async () => tails.close());
  app.addHook('onSend', async (_request, reply) => {
    if (closing.signal.aborted) reply.header('connection', 'close');
  });
}

/** What routes have in common in the OpenAPI document: errors, idempotency, and whether a token is needed. */
function documentRoutes(app: App): void {
  app.addHook('onRoute', (route) => {
    if (route.schema === undefined) return;
    route.schema.response = {
      ...(route.schema.response as object | undefined),
      default: { description: 'Any error', content: { [problemType]: { schema: problem } } },
    };
    if (route.config?.idempotent) route.schema.headers = idempotencyHeaders;
    if (route.config?.access === 'public') route.schema.security = [{}, { token: [] }];
  });
}

/** Who calls, whether they call too often, and whether they may: in this order, and before a body is read. */
async function registerAccess(app: App, { config }: ApiDependencies): Promise<void> {
  const identify = makeIdentify(config);
  const limit = await registerRateLimit(app, config.http.rateLimitPerMinute);
  app.decorateRequest('caller', null);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    const identity = identify(request.headers.authorization);
    if (!(identity instanceof AppError)) request.caller = identity;
    // Guessing counts against the address.
    await limit.call(app, request, reply);
    if (identity instanceof AppError) throw identity;
    const access = request.routeOptions.config.access ?? 'read';
    if (access !== 'public') requireScope(callerOf(request), access);
  });
}
