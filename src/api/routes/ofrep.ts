/** Feature flags for applications, over the OpenFeature Remote Evaluation Protocol. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Flag } from '../../db/control/generated/client.ts';
import { AppError, httpStatus } from '../../errors.ts';
import type { App } from '../app.ts';
import { callerOf, maySee } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { errorOf, settleError } from '../problem.ts';
import * as schemas from '../schemas/ofrep.ts';

const tags = ['flags'];
const errors = { 401: schemas.generalError, 403: schemas.generalError, 503: schemas.generalError };
const eventStreams = [{ type: 'sse' as const, endpoint: { requestUri: '/api/flags/events' } }];

export function ofrep(app: App, { control }: ApiDependencies): void {
  app.setErrorHandler((thrown, request, reply) => sendFailure(thrown, request, reply));

  /** The flags that the caller may see: of the database that the context names, where it names one. */
  async function find(request: FastifyRequest<{ Body: schemas.EvaluationRequest }>, key?: string) {
    const caller = callerOf(request);
    const named = request.body.context?.database;
    const databases = named === undefined ? caller.databases : maySee(caller, named) ? [named] : [];
    return control.prisma.flag.findMany({
      where: { key, ...(databases === null ? {} : { database: { in: [...databases] } }) },
      orderBy: [{ key: 'asc' }, { database: 'asc' }],
    });
  }

  app.route({
    method: 'POST',
    url: '/ofrep/v1/evaluate/flags/:key',
    config: { access: 'read', unlimited: true },
    schema: {
      tags,
      operationId: 'evaluateFlag',
      summary: 'Evaluate one feature flag (OFREP), for any OpenFeature SDK',
      params: schemas.flagKeyParameter,
      body: schemas.evaluationRequest,
      response: {
        200: schemas.evaluation,
        400: schemas.evaluationFailure,
        404: schemas.flagMissing,
        ...errors,
      },
    },
    handler: async (request, reply) => {
      const { key } = request.params;
      const [flag, ...others] = await find(request, key);
      if (flag === undefined)
        throw new AppError('FLAG_NOT_FOUND', `There is no flag "${key}" that this token may see.`, { key });
      if (others.length === 0) return evaluate(flag);
      return reply.code(400).send(ambiguous([flag, ...others]));
    },
  });

  app.route({
    method: 'POST',
    url: '/ofrep/v1/evaluate/flags',
    config: { access: 'read', unlimited: true },
    schema: {
      tags,
      operationId: 'evaluateFlags',
      summary: 'Evaluate all feature flags at once (OFREP); 304 when none has changed',
      querystring: schemas.bulkQuery,
      headers: schemas.bulkHeaders,
      body: schemas.evaluationRequest,
      response: { 200: schemas.bulkEvaluation, 304: schemas.unchanged, 400: schemas.bulkFailure, ...errors },
    },
    handler: async (request, reply) => {
      const body = { flags: evaluateAll(await find(request)), eventStreams };
      const etag = `"${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}"`;
      reply.header('etag', etag);
      const known = (request.headers['if-none-match'] ?? '').split(',');
      if (!known.some((one) => one.trim().replace(/^W\//, '') === etag)) return body;
      return reply.code(304).send();
    },
  });
}

/** @param flags in the order of their keys */
function evaluateAll(flags: readonly Flag[]): (schemas.Evaluation | schemas.EvaluationFailure)[] {
  const byKey = new Map<string, Flag[]>();
  for (const flag of flags) byKey.set(flag.key, [...(byKey.get(flag.key) ?? []), flag]);
  return [...byKey.values()].map((same) => {
    const [only, ...others] = same;
    return only !== undefined && others.length === 0 ? evaluate(only) : ambiguous(same);
  });
}

const evaluate = ({ key, state, database, ownerKind, owner, changedAt }: Flag): schemas.Evaluation => ({
  key,
  value: state === 'on',
  reason: 'STATIC',
  variant: state === 'on' ? 'on' : 'off',
  metadata: { database, owner: `${ownerKind} ${owner}`, changedAt: changedAt.toISOString() },
});

function ambiguous(flags: readonly Flag[]): schemas.EvaluationFailure {
  const databases = flags.map(({ database }) => database).join(', ');
  return {
    key: flags[0]?.key ?? '',
    errorCode: 'INVALID_CONTEXT',
    errorDetails: `Several databases have this flag: ${databases}. Say which one is meant in the context's "database", or use a token for one database.`,
  };
}

/** Errors as the protocol has them; which status stands for what is the same as everywhere. */
function sendFailure(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = errorOf(thrown, request);
  const status = httpStatus(error.code);
  settleError(error, request, reply, status);
  const { key } = request.params as { key?: string };
  const body = { ...(key === undefined ? {} : { key }), ...codeOf(error), errorDetails: error.message };
  const { errorDetails } = body;
  // As text: the routes' schemas are not asked about what may come from before them.
  const sent = status === 400 || status === 404 ? body : { errorDetails };
  return reply.code(status).type('application/json').send(JSON.stringify(sent));
}

function codeOf({ code }: AppError): { errorCode: string } {
  if (code === 'FLAG_NOT_FOUND') return { errorCode: 'FLAG_NOT_FOUND' };
  if (code === 'BODY_UNREADABLE') return { errorCode: 'PARSE_ERROR' };
  return { errorCode: code === 'VALIDATION_FAILED' ? 'INVALID_CONTEXT' : 'GENERAL' };
}
