import path from 'node:path';
import type { ClientConfig } from 'pg';
import { AppError } from '../errors.ts';

/** A PostgreSQL database that can be connected to, parsed from its URL. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Schema of `_prisma_migrations` and head of the search_path: the URL's `schema`, by default `public`. */
  readonly schema: string;
  /** The URL says `pgbouncer=true`: it leads to a transaction pooler. */
  readonly pooled: boolean;
  /** For `pg.Client`. Holds the password. */
  readonly clientConfig: ClientConfig;
  /** Whether a server without TLS is acceptable after TLS was tried (libpq's and Prisma's `sslmode=prefer`). */
  readonly plaintextFallback: boolean;
  /** For PostgreSQL's own programs. Holds the password. */
  readonly libpqEnvironment: Readonly<Record<string, string>>;
  /** `host:port/database`, for people: no user, no password. */
  readonly display: string;
}

/**
 * Prisma's parameters that neither libpq nor the driver knows.
 * Source: https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments
 */
const prismaOnly = [
  'schema',
  'connection_limit',
  'pool_timeout',
  'socket_timeout',
  'pgbouncer',
  'statement_cache_size',
  'sslidentity',
  'sslpassword',
  'sslaccept',
  'sslcert',
  'max_idle_connection_lifetime',
  'single_use_connections',
];

/**
 * Parses a postgres:// URL with Prisma's parameters.
 * @throws AppError `CONFIG_INVALID` when the text is no such URL
 */
export function parseTarget(text: string): Target {
  if (!URL.canParse(text) || !/^postgres(ql)?:/.test(text))
    throw new AppError(
      'CONFIG_INVALID',
      'A database URL must begin with postgres:// and name a host and a database.',
    );
  const url = new URL(text);
  const given = url.searchParams;
  const host = given.get('host') ?? (decodeURIComponent(url.hostname.replace(/^\[|\]$/g, '')) || 'localhost');
  const port = Number(given.get('port') ?? (url.port || 5432));
  const user = decodeURIComponent(url.username) || (given.get('user') ?? 'postgres');
  const password = decodeURIComponent(url.password) || (given.get('password') ?? '');
  const database = decodeURIComponent(url.pathname.slice(1)) || user;
  const sslmode = given.get('sslmode') ?? 'prefer';
  // Prisma's `sslcert` is the server's root certificate; libpq calls that `sslrootcert`.
  const rootCertificate = given.get('sslrootcert') ?? given.get('sslcert');
  const socket = path.isAbsolute(host);
  const timeoutSeconds = Number(given.get('connect_timeout') ?? 5) || 5;
  return Object.freeze({
    host,
    port,
    user,
    database,
    schema: given.get('schema') ?? 'public',
    pooled: given.get('pgbouncer') === 'true',
    plaintextFallback: !socket && sslmode === 'prefer',
    clientConfig: {
      ...(socket || sslmode === 'disable'
        ? { ssl: false }
        : { connectionString: tlsUrl(url, sslmode, rootCertificate, given.get('sslaccept')) }),
      host,
      port,
      user,
      password,
      database,
      connectionTimeoutMillis: timeoutSeconds * 1000,
      keepAlive: true,
    },
    libpqEnvironment: Object.freeze({
      PGHOST: host,
      PGPORT: String(port),
      PGUSER: user,
      PGPASSWORD: password,
      PGDATABASE: database,
      PGSSLMODE: given.get('sslaccept') === 'strict' ? 'verify-full' : sslmode,
      PGCONNECT_TIMEOUT: String(timeoutSeconds),
      ...(rootCertificate === null ? {} : { PGSSLROOTCERT: rootCertificate }),
    }),
    display: `${host}:${port}/${database}`,
  });
}

/** For a pool, which cannot try TLS first and then do without: TLS only where the URL asks for it. */
export function poolConfig(target: Target): ClientConfig {
  const { connectionString: _, ...plain } = target.clientConfig;
  return target.plaintextFallback ? { ...plain, ssl: false } : target.clientConfig;
}

/** A URL from which the driver reads TLS settings only, with libpq's meaning of `sslmode`. */
function tlsUrl(url: URL, sslmode: string, rootCertificate: string | null, accept: string | null): string {
  const tls = new URL(url.href);
  for (const name of prismaOnly) tls.searchParams.delete(name);
  for (const name of ['host', 'port', 'user', 'password', 'application_name', 'connect_timeout'])
    tls.searchParams.delete(name);
  // Prisma verifies the certificate only with `sslaccept=strict`; libpq's word for that is `verify-full`.
  const verify = accept === 'strict' ? 'verify-full' : sslmode === 'prefer' ? 'require' : sslmode;
  tls.searchParams.set('sslmode', verify);
  tls.searchParams.set('uselibpqcompat', 'true');
  if (rootCertificate !== null) tls.searchParams.set('sslrootcert', rootCertificate);
  return tls.href;
}
