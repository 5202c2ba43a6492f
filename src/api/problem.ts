/**
 * Errors as `application/problem+json` (RFC 9457). Every error of the API passes through `sendProblem`: ours, the
 * validator's and Fastify's own.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { outageOf } from '../db/control/outage.ts';
import { AppError, type ErrorCode, httpStatus, toAppError } from '../errors.ts';
import type { Problem, ValidationFault } from './schemas/problem.ts';

export const problemType = 'application/problem+json';

/** Seconds after which it is worth to ask again, by the codes for which that is so. */
function retryAfter(error: AppError): number | undefined {
  if (error.code === 'JOB_STILL_RUNNING') return 1;
  return error.category === 'unavailable' ? 5 : undefined;
}

/** @param status HTTP status; the one of the error's code when absent */
export function toProblem(error: AppError, requestId: string, status = httpStatus(error.code)): Problem {
  const { errors, ...details } = error.details;
  return {
    type: `urn:switchback:error:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title: error.title,
    status,
    detail:
      error.code === 'INTERNAL'
        ? 'Something went wrong inside Switchback. Its log has the cause, under the request id in `instance`.'
        : error.message,
    instance: `urn:uuid:${requestId}`,
    code: error.code,
    details,
    ...(Array.isArray(errors) ? { errors: errors as ValidationFault[] } : {}),
  };
}

/**
 * Answers with the error, and logs it: where a request's error ends, but for routes of another protocol.
 * @param status HTTP status; the one of the error's code when absent
 */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply, status?: number) {
  const error = errorOf(thrown, request);
  const problem = toProblem(error, request.id, status);
  settleError(error, request, reply, problem.status);
  return reply.code(problem.status).type(problemType).send(problem);
}

/** Whatever a route, the validator or Fastify threw, as an error of the catalogue. */
export const errorOf = (thrown: unknown, request: FastifyRequest): AppError =>
  isFastifyError(thrown) ? fromFastify(thrown, request) : toAppError(outageOf(thrown));

/** What every answer with an error has in common, whatever its form: its line in the log, and its headers. */
export function settleError(
  error: AppError,
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
): void {
  if (error.category === 'internal')
    request.log.error({ err: error.cause ?? error }, 'request failed inside');
  else request.log[status >= 500 ? 'warn' : 'debug']({ code: error.code }, error.message);
  if (error.category === 'unauthenticated') reply.header('www-authenticate', 'Bearer realm="switchback"');
  const seconds = status >= 500 || status === 429 ? retryAfter(error) : undefined;
  if (seconds !== undefined) reply.header('retry-after', String(seconds));
}

export function routeNotFound(request: FastifyRequest): AppError {
  const path = request.url.split('?', 1)[0];
  return new AppError(
    'ROUTE_NOT_FOUND',
    `There is no route ${request.method} ${path}. GET /openapi.json lists all.`,
  );
}

const isFastifyError = (thrown: unknown): thrown is FastifyError =>
  thrown instanceof Error && !(thrown instanceof AppError) && 'statusCode' in thrown && 'code' in thrown;

/** Fastify's client errors by their codes; its other errors are ours. */
const fastifyCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_BAD_URL: 'ROUTE_NOT_FOUND',
  FST_ERR_MAX_PARAM_LENGTH: 'ROUTE_NOT_FOUND',
};

function fromFastify(error: FastifyError, request: FastifyRequest): AppError {
  const status = error.statusCode ?? 500;
  if (status < 400 || status >= 500) return toAppError(error);
  const code = fastifyCodes[error.code] ?? 'BODY_UNREADABLE';
  if (code === 'ROUTE_NOT_FOUND') return routeNotFound(request);
  return new AppError(code, `${error.message}.`.replace(/\.\.$/, '.'), {}, { cause: error });
}
