/**
 * `Idempotency-Key`: within 24 hours, the same request with the same key (per token and route) gets the first answer
 * again. The first request claims the key with a row, and its answer is written there before it is sent.
 */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Control } from '../db/control/control.ts';
import { AppError } from '../errors.ts';
import type { App } from './app.ts';
import { callerOf } from './authentication.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route takes an `Idempotency-Key`. */
    idempotent?: boolean;
  }
  interface FastifyRequest {
    /** The key that this request has claimed, and whose answer it decides. */
    idempotencyClaim: Claim | null;
  }
}

interface Claim {
  readonly token: string;
  readonly route: string;
  readonly key: string;
}

const keepMs = 24 * 3_600_000;
/** A request that has not answered for so long died with its process. */
const abandonedMs = 5 * 60_000;
const keptHeaders = ['content-type', 'location'] as const;

/** Other headers pass: this only documents and checks ours. */
export const idempotencyHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, '1 to 255 visible ASCII characters')
    .optional()
    .describe('For 24 hours, the same request with the same key gets the first answer again'),
});

export function registerIdempotency(app: App, control: Control): void {
  app.decorateRequest('idempotencyClaim', null);
  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key'];
    if (request.routeOptions.config.idempotent !== true || typeof key !== 'string') return;
    const claim = claimOf(request, key);
    const bodySha256 = digest(request);
    if (await take(control, claim, bodySha256)) {
      request.idempotencyClaim = claim;
      return;
    }
    return answerAgain(control, claim, bodySha256, reply);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const claim = request.idempotencyClaim;
    if (claim === null) return payload;
    if (reply.statusCode >= 500) await control.prisma.idempotencyKey.deleteMany({ where: claim });
    else await keep(control, claim, reply, payload);
    return payload;
  });
}

function claimOf(request: FastifyRequest, key: string): Claim {
  return { token: callerOf(request).name, route: `${request.method} ${request.routeOptions.url}`, key };
}

function digest({ body, url }: FastifyRequest): string {
  const query = url.split('?')[1];
  return createHash('sha256')
    .update(Buffer.isBuffer(body) ? body : (JSON.stringify(body) ?? ''))
    .update(query === undefined ? '' : `?${query}`)
    .digest('hex');
}

/** Claims a key that is free, outlived, or left behind by a process that died. */
async function take({ prisma }: Control, claim: Claim, bodySha256: string): Promise<boolean> {
  const now = Date.now();
  await prisma.idempotencyKey.deleteMany({
    where: {
      ...claim,
      OR: [
        { createdAt: { lt: new Date(now - keepMs) } },
        { status: null, createdAt: { lt: new Date(now - abandonedMs) } },
      ],
    },
  });
  const { count } = await prisma.idempotencyKey.createMany({
    data: [{ ...claim, bodySha256 }],
    skipDuplicates: true,
  });
  return count === 1;
}

async function answerAgain({ prisma }: Control, claim: Claim, bodySha256: string, reply: FastifyReply) {
  const first = await prisma.idempotencyKey.findUnique({ where: { token_route_key: claim } });
  if (first !== null && first.bodySha256 !== bodySha256)
    throw new AppError(
      'IDEMPOTENCY_KEY_REUSED',
      'This Idempotency-Key came with another body before. Nothing was done: take a new key for a new request.',
      { firstUsedAt: first.createdAt.toISOString() },
    );
  // Without a row, the first request has just failed and let the key go.
  if (first === null || first.status === null)
    throw new AppError(
      'IDEMPOTENCY_KEY_IN_USE',
      'The first request with this Idempotency-Key is not answered yet. Nothing was done: ask again in a moment.',
    );
  const headers = first.headers as Record<string, string>;
  return reply
    .code(first.status)
    .headers({ ...headers, 'idempotency-replayed': 'true' })
    .send(first.response);
}

async function keep({ prisma }: Control, claim: Claim, reply: FastifyReply, payload: unknown): Promise<void> {
  const headers = Object.fromEntries(
    keptHeaders.flatMap((name) => {
      const value = reply.getHeader(name);
      return value === undefined ? [] : [[name, String(value)]];
    }),
  );
  await prisma.idempotencyKey.updateMany({
    where: claim,
    data: { status: reply.statusCode, headers, response: String(payload) },
  });
}
