/**
 * Who calls, and what they may do. Tokens are configured by their SHA-256; whoever has none learns nothing but that
 * Switchback is alive. Checked before a body is read.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { type Config, type DatabaseConfig, type Scope, scopes } from '../config.ts';
import { AppError } from '../errors.ts';
import { databaseOf } from '../jobs/databases.ts';

/** Who asks: a token of the configuration. */
export interface Caller {
  readonly name: string;
  /** The widest scope that the token has; a wider one has all the narrower ones' rights. */
  readonly scope: Scope;
  /** Names of the databases that the token is for, or null for all. */
  readonly databases: readonly string[] | null;
}

/** What a route needs: a scope; `public` needs no token, but knows one that is shown. */
export type Access = Scope | 'public';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** The caller, or null without a token. */
    caller: Caller | null;
  }
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
const widest = (held: readonly Scope[]): Scope => scopes.findLast((scope) => held.includes(scope)) ?? 'read';

/**
 * Makes the function that tells who a request comes from, by its bearer token: null without one, and the refusal
 * (`TOKEN_INVALID`, `TOKEN_EXPIRED`) of one that does not hold. Every known token is compared in constant time, so the
 * time taken tells nothing.
 */
export function makeIdentify(config: Config, now: () => number = Date.now) {
  const tokens = config.tokens.map((token) => ({
    digest: Buffer.from(token.sha256, 'hex'),
    expiresAt: token.expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(token.expiresAt),
    caller: {
      name: token.name,
      scope: widest(token.scopes),
      databases: token.databases.includes('*') ? null : token.databases,
    },
  }));
  return (authorization: string | undefined): Caller | AppError | null => {
    if (authorization === undefined) return null;
    const presented = sha256(/^bearer +(\S+)$/i.exec(authorization)?.[1] ?? '');
    let found: (typeof tokens)[number] | undefined;
    for (const token of tokens) if (timingSafeEqual(token.digest, presented)) found = token;
    if (found === undefined)
      return new AppError('TOKEN_INVALID', 'The bearer token is not one of those in the configuration.');
    if (found.expiresAt <= now())
      return new AppError('TOKEN_EXPIRED', `The token ${found.caller.name} has expired. Ask for a new one.`);
    return found.caller;
  };
}

/** @throws AppError `TOKEN_MISSING` */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null)
    throw new AppError('TOKEN_MISSING', 'Send a token: `authorization: Bearer <token>`.');
  return request.caller;
}

/** @throws AppError `SCOPE_MISSING` */
export function requireScope(caller: Caller, needed: Scope, purpose = 'This request'): void {
  if (scopes.indexOf(caller.scope) < scopes.indexOf(needed))
    throw new AppError(
      'SCOPE_MISSING',
      `${purpose} needs the scope "${needed}"; the token ${caller.name} has "${caller.scope}".`,
      { needed, has: caller.scope },
    );
}

/** Whether the caller may see what concerns this database; what concerns none (null) is for callers of all. */
export const maySee = (caller: Caller, database: string | null): boolean =>
  caller.databases === null || (database !== null && caller.databases.includes(database));

/**
 * A registered database that the caller may use. Whether a database exists is not told to a caller who may not.
 * @throws AppError `DATABASE_FORBIDDEN`, `DATABASE_UNKNOWN`
 */
export function databaseFor(caller: Caller, config: Config, name: string): DatabaseConfig {
  if (!maySee(caller, name))
    throw new AppError('DATABASE_FORBIDDEN', `The token ${caller.name} is not for a database "${name}".`, {
      database: name,
    });
  return databaseOf(config, name);
}

/** @throws AppError `DATABASE_FORBIDDEN` for a token that is not for all databases */
export function requireAllDatabases(caller: Caller, purpose: string): void {
  if (caller.databases !== null)
    throw new AppError(
      'DATABASE_FORBIDDEN',
      `${purpose} concerns all databases; the token ${caller.name} is only for ${caller.databases.join(', ')}.`,
    );
}
