import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../app.ts';
import { type Caller, maySee } from '../authentication.ts';
import { makeDeepHealth } from '../deep-health.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { combine, examine } from '../health-outcome.ts';
import { type Health, health as healthSchema, type Outcome } from '../schemas/health.ts';

const healthType = 'application/health+json';
const content = { [healthType]: { schema: healthSchema } };
const response = {
  200: { description: '`pass` or `warn`', content },
  503: { description: '`fail`', content },
};

export function health(app: App, deps: ApiDependencies): void {
  const { config, control, queue } = deps;
  const deepHealth = makeDeepHealth(app, deps);
  const databases = new Set(config.databases.map((database) => database.name));

  app.route({
    method: 'GET',
    url: '/api/health/live',
    config: { access: 'public' },
    schema: { tags: ['health'], operationId: 'getLive', summary: 'Whether the process answers', response },
    handler: async (request, reply) => send(request, reply, combine({})),
  });

  app.route({
    method: 'GET',
    url: '/api/health/ready',
    config: { access: 'public' },
    schema: {
      tags: ['health'],
      operationId: 'getReady',
      summary: 'Whether requests can be served: control database and queue',
      response,
    },
    handler: async (request, reply) => {
      const [controlDatabase, queued] = await Promise.all([
        examine(() => control.prisma.job.findFirst({ select: { id: true } })),
        examine(() => queue.ping()),
      ]);
      const outcome = combine({ 'switchback:control-database': controlDatabase, 'switchback:queue': queued });
      return send(request, reply, outcome);
    },
  });

  app.route({
    method: 'GET',
    url: '/api/health/deep',
    config: { access: 'public' },
    schema: {
      tags: ['health'],
      operationId: 'getDeep',
      summary: 'Whether a job gets through: queue, worker, every configured database, and back',
      response,
    },
    handler: async (request, reply) => send(request, reply, await deepHealth()),
  });

  function send(request: FastifyRequest, reply: FastifyReply, { status, checks }: Outcome): Health {
    reply
      .code(status === 'fail' ? 503 : 200)
      .type(healthType)
      .header('cache-control', 'no-store');
    const { caller } = request;
    if (caller === null) return { status };
    return {
      status,
      checks: Object.fromEntries(Object.entries(checks).filter(([key]) => shows(caller, key))),
    };
  }

  /** Parts of Switchback are for all to see; a database's checks only for whom it concerns. */
  function shows(caller: Caller, key: string): boolean {
    const [part = ''] = key.split(':', 1);
    return !databases.has(part) || maySee(caller, part);
  }
}
