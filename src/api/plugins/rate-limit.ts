import { fastifyRateLimit } from '@fastify/rate-limit';
import type { onRequestAsyncHookHandler } from 'fastify';
import { AppError } from '../../errors.ts';
import type { App } from '../app.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether a token may ask as often as it likes: where an answer that is refused would be taken for another one. */
    unlimited?: boolean;
  }
}

/**
 * Makes the hook that limits the requests of a token (or of an address, without one) in a minute. It is not global,
 * because it must run between telling who calls and what they may.
 */
export async function registerRateLimit(app: App, perMinute: number): Promise<onRequestAsyncHookHandler> {
  await app.register(fastifyRateLimit, {
    global: false,
    max: perMinute,
    timeWindow: 60_000,
    keyGenerator: (request) => (request.caller ? `token ${request.caller.name}` : `address ${request.ip}`),
    // Probes come often, and from everywhere.
    allowList: ({ caller, routeOptions: { config } }) =>
      caller === null ? config.access === 'public' : config.unlimited === true,
    errorResponseBuilder: (_request, context) =>
      new AppError(
        'RATE_LIMITED',
        `More than ${context.max} requests in a minute. Try again in ${context.after}.`,
        {
          limit: context.max,
        },
      ),
  });
  return app.rateLimit();
}
