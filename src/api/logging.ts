import { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import type { Logger } from 'pino';

/** One line for each answered request; those of probes and scrapers only at level debug. */
class RequestLog extends LogController {
  override incomingRequest(): void {
    // The line about the answer says it all.
  }

  override requestCompleted(
    error: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    const line = {
      method: request.method,
      path: request.url.split('?', 1)[0],
      route: request.routeOptions.url,
      status: reply.raw.statusCode,
      ms: Math.round(reply.elapsedTime),
      token: request.caller?.name,
      ...(error ? { err: error } : {}),
    };
    const quiet = request.routeOptions.config.access === 'public' || request.routeOptions.url === '/metrics';
    request.log[quiet ? 'debug' : 'info'](line, 'request');
  }
}

/** Fastify's options for logging with `log`; credentials never reach it. */
export function loggingOptions(log: Logger): {
  loggerInstance: FastifyBaseLogger;
  logController: LogController;
} {
  const redact = ['authorization', '*.authorization', '*.headers.authorization', '*.*.headers.authorization'];
  return {
    loggerInstance: log.child({ part: 'api' }, { redact }),
    logController: new RequestLog({ requestIdLogLabel: 'request' }),
  };
}
