/**
 * Configuration: one JSON file plus environment, checked once at start. The only reader of `process.env`.
 *
 * Every fault is collected and listed in one `CONFIG_INVALID`. A string in the file may hold `${NAME}`, which is
 * replaced by the environment variable of that name: this is how secrets stay out of the file. `DATABASE_URL` is
 * never read: it is the application's.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { AppError } from './errors.ts';

const name = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'lower-case letters, digits, "_" and "-", beginning with a letter, at most 63');
const postgresUrl = z.url({ protocol: /^postgres(ql)?$/, error: 'a postgres:// URL' });
const seconds = (fallback: number) => z.int().min(1).max(86_400).default(fallback);
const milliseconds = (least: number, most: number, fallback: number) => z.int().min(least).max(most).default(fallback);

/** Overrides one stop by its code; the reason stands in the plan and the report. */
export const allowance = z
  .strictObject({
    code: z.string().min(1).max(64).describe('Code of the fault that is allowed'),
    migration: z.string().min(1).max(255).optional().describe('Only in this migration'),
    reason: z.string().trim().min(8).max(500).describe('Why this is right; it stands in the report'),
  })
  .meta({ id: 'Allowance' });
export type Allowance = z.infer<typeof allowance>;

const backupPolicy = z
  .union([
    z.literal('always'),
    z.strictObject({ youngerThanMinutes: z.int().min(1).max(525_600) }),
    z.strictObject({ never: z.string().trim().min(8).max(500).describe('Why no backup is taken') }),
  ])
  .describe('Backup before a deployment: always; only where no verified one is young enough; never, with a reason');

const policy = z
  .strictObject({
    outOfOrder: z.enum(['warn', 'stop']).default('warn').describe('A pending migration that sorts before an applied one'),
    backup: backupPolicy.default('always'),
    bundles: z.enum(['directory', 'upload']).default('directory').describe('Where migrations come from; `upload` also takes POST /api/bundles'),
    lockTimeoutMs: milliseconds(50, 60_000, 2_000).describe('How long a segment that blocks others may wait for its locks, in all'),
    lockBudgetMs: milliseconds(0, 3_600_000, 60_000).describe('How long lock timeouts, deadlocks and serialisation failures are retried'),
    maxReplicationLagMs: milliseconds(0, 3_600_000, 10_000).describe('A replica further behind stops a deployment'),
    longTransactionMs: milliseconds(1_000, 86_400_000, 30_000).describe('A transaction older than this, in a table that the plan locks, stops a deployment'),
    publicationsChecked: z.boolean().default(false).describe("FOR ALL TABLES publications leave out Switchback's own tables, or their subscribers have them"),
    allow: z.array(allowance).default([]).describe('Faults that are allowed in every deployment'),
  })
  .prefault({})
  .meta({ id: 'Policy' });
export type Policy = z.infer<typeof policy>;

const database = z
  .strictObject({
    name: name.describe('How the API calls this database'),
    url: postgresUrl.describe("Direct URL of the database, with Prisma's parameters; not a transaction pooler's"),
    migrations: z.string().min(1).describe('Directory with migration_lock.toml, relative to the configuration file'),
    schema: z.string().min(1).optional().describe("The application's schema.prisma, relative to the configuration file"),
    environment: z.string().min(1).max(63).default('production'),
    healthUrls: z.array(z.url({ protocol: /^https?$/ })).max(20).default([]).describe("The application's critical paths, probed after a deployment"),
    policy,
  })
  .meta({ id: 'DatabaseConfig' });

export const scopes = ['read', 'operate', 'approve', 'admin'] as const;
export type Scope = (typeof scopes)[number];

const token = z.strictObject({
  name: name.describe('Stands in every record that the token asks for'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'the SHA-256 of the token, in hexadecimal').describe('SHA-256 of the token; the token itself is never stored'),
  scopes: z.array(z.enum(scopes)).min(1),
  databases: z.array(z.union([z.literal('*'), name])).min(1).default(['*']),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
});
export type TokenConfig = z.infer<typeof token>;

const webhookSink = z.strictObject({
  type: z.literal('webhook'),
  name: name,
  url: z.url({ protocol: /^https?$/ }),
  secret: z.string().regex(/^whsec_[A-Za-z0-9+/=]{32,}$/, 'whsec_ followed by at least 24 bytes in base64').describe('Signing key, Standard Webhooks form'),
  allowPrivateAddresses: z.boolean().default(false).describe('Deliver to loopback and private networks too'),
});
export type WebhookSinkConfig = z.infer<typeof webhookSink>;

const fileStore = z.strictObject({ type: z.literal('file'), directory: z.string().min(1) });
export type FileStoreConfig = z.infer<typeof fileStore>;

const dataDirectory = '.switchback';

/** The file's form; `docs/configuration.schema.json` is generated from it. */
export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  http: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      port: z.int().min(0).max(65_535).default(7410),
      rateLimitPerMinute: z.int().min(1).default(600).describe('Requests per token (or address, without one) and minute'),
      maxBundleBytes: z.int().min(1_024).max(1_073_741_824).default(16_777_216).describe('Size of an uploaded archive'),
      trustProxy: z.boolean().default(false).describe('Take the caller\'s address from X-Forwarded-For'),
    })
    .prefault({}),
  controlDatabase: z.strictObject({ url: postgresUrl }).optional().describe("Where Switchback's own tables live; embedded when absent"),
  queue: z
    .strictObject({
      url: z.url({ protocol: /^(postgres(ql)?|rediss?)$/, error: 'a redis:// or postgres:// URL' }),
      prefix: name.default('switchback').describe('Key prefix in Redis, schema in PostgreSQL'),
    })
    .optional()
    .describe('Where BullMQ keeps its queue; the control database when absent'),
  worker: z
    .strictObject({
      operations: z.int().min(1).max(64).default(4).describe('Operations that one worker runs at once'),
      signals: z.int().min(1).max(64).default(4).describe('Health checks and deliveries that one worker runs at once'),
      shutdownGraceSeconds: seconds(20).describe('How long a stopping worker lets its jobs go on before it hands them back'),
    })
    .prefault({}),
  dataDirectory: z.string().min(1).default(dataDirectory).describe('Embedded server, first token'),
  databases: z.array(database).max(5_000).default([]),
  tokens: z.array(token).max(1_000).default([]),
  alerts: z
    .strictObject({
      sinks: z.array(webhookSink).max(20).default([]),
      overdueSeconds: seconds(300).describe('A job that runs longer is told while it runs'),
    })
    .prefault({}),
  backups: z
    .strictObject({
      store: fileStore.prefault({ type: 'file', directory: `${dataDirectory}/backups` }),
      lockWaitSeconds: seconds(30).describe("How long pg_dump waits for a table's lock"),
    })
    .prefault({}),
  postgresPrograms: z.string().min(1).optional().describe('Folder with pg_dump, pg_restore and psql'),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
});

type Parsed = z.infer<typeof configSchema>;
type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

export type Config = DeepReadonly<Omit<Parsed, '$schema'>> & {
  /** The file that was read, or null when the configuration came from the environment alone. */
  readonly file: string | null;
};
export type DatabaseConfig = Config['databases'][number];

/** Environment variables with our prefix, and the place in the file that each overrides. */
export const environmentVariables: Readonly<Record<string, { path: readonly string[]; number?: true; description: string }>> = {
  SWITCHBACK_CONFIG: { path: [], description: 'The configuration file; `switchback.config.json` when absent' },
  SWITCHBACK_DATABASE_URL: { path: ['controlDatabase', 'url'], description: 'The control database' },
  SWITCHBACK_QUEUE_URL: { path: ['queue', 'url'], description: "BullMQ's backend: redis:// or postgres://" },
  SWITCHBACK_HOST: { path: ['http', 'host'], description: 'Address to listen on' },
  SWITCHBACK_PORT: { path: ['http', 'port'], number: true, description: 'Port to listen on' },
  SWITCHBACK_DATA_DIRECTORY: { path: ['dataDirectory'], description: 'Embedded server and first token' },
  SWITCHBACK_LOG_LEVEL: { path: ['logLevel'], description: 'pino level' },
  SWITCHBACK_NO_INSTALL: { path: [], description: "Forbids the start scripts to install PostgreSQL's client programs" },
  PG_BIN_DIR: { path: ['postgresPrograms'], description: 'Folder with pg_dump, pg_restore and psql' },
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads, checks and freezes the configuration.
 * @throws AppError `CONFIG_INVALID` with `details.faults: {path, message}[]`
 */
export function loadConfig(env: Environment = process.env, options: { file?: string; cwd?: string } = {}): Config {
  const cwd = options.cwd ?? process.cwd();
  const faults: Fault[] = [];
  const named = options.file ?? env.SWITCHBACK_CONFIG;
  const file = path.resolve(cwd, named ?? 'switchback.config.json');
  const present = existsSync(file);
  if (named !== undefined && !present) faults.push({ path: 'SWITCHBACK_CONFIG', message: `there is no file ${file}` });
  const secrets = new Set<string>();
  const raw = present ? substitute(readJson(file, faults), env, faults, secrets) : {};
  const input = applyEnvironment(raw, env, faults);
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) faults.push(...parsed.error.issues.flatMap(describeIssue));
  else faults.push(...crossCheck(parsed.data));
  if (faults.length > 0 || !parsed.success) throw configInvalid(file, present, faults, secrets);
  const { $schema: _, ...data } = parsed.data;
  return deepFreeze({ ...resolvePaths(data, present ? path.dirname(file) : cwd), file: present ? file : null });
}

interface Fault {
  readonly path: string;
  readonly message: string;
}

function readJson(file: string, faults: Fault[]): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    faults.push({ path: file, message: `cannot be read as JSON: ${(error as Error).message}` });
    return {};
  }
}

function substitute(value: unknown, env: Environment, faults: Fault[], secrets: Set<string>, at = ''): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, variable: string) => {
      const found = env[variable];
      if (found === undefined) faults.push({ path: at, message: `the environment variable ${variable} is not set` });
      else secrets.add(found);
      return found ?? whole;
    });
  }
  if (Array.isArray(value)) return value.map((item, index) => substitute(item, env, faults, secrets, join(at, index)));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, substitute(item, env, faults, secrets, join(at, key))]),
    );
  }
  return value;
}

function applyEnvironment(raw: unknown, env: Environment, faults: Fault[]): unknown {
  const result = structuredClone(raw) as Record<string, unknown>;
  for (const [variable, value] of Object.entries(env)) {
    const known = environmentVariables[variable];
    if (variable.startsWith('SWITCHBACK_') && known === undefined)
      faults.push({ path: variable, message: 'there is no such setting' });
    if (known === undefined || known.path.length === 0 || value === undefined || value === '') continue;
    let place = result;
    for (const key of known.path.slice(0, -1)) place = (place[key] ??= {}) as Record<string, unknown>;
    place[known.path.at(-1) as string] = known.number ? Number(value) : value;
  }
  return result;
}

function describeIssue(issue: z.core.$ZodIssue): Fault[] {
  const at = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: join(at, key), message: 'there is no such setting' }));
  return [{ path: at, message: issue.message }];
}

function crossCheck(config: Parsed): Fault[] {
  const faults: Fault[] = [];
  const unique = (list: readonly { name: string }[], at: string): void => {
    const seen = new Set<string>();
    list.forEach((item, index) => {
      if (seen.has(item.name)) faults.push({ path: `${at}.${index}.name`, message: `"${item.name}" is used twice` });
      seen.add(item.name);
    });
  };
  unique(config.databases, 'databases');
  unique(config.tokens, 'tokens');
  unique(config.alerts.sinks, 'alerts.sinks');
  const names = new Set(config.databases.map((item) => item.name));
  config.tokens.forEach((item, index) => {
    for (const wanted of item.databases)
      if (wanted !== '*' && !names.has(wanted))
        faults.push({ path: `tokens.${index}.databases`, message: `no database "${wanted}" is registered` });
  });
  return faults;
}

function resolvePaths(config: Omit<Parsed, '$schema'>, base: string): Omit<Parsed, '$schema'> {
  const absolute = (place: string): string => path.resolve(base, place);
  return {
    ...config,
    dataDirectory: absolute(config.dataDirectory),
    backups: { ...config.backups, store: { ...config.backups.store, directory: absolute(config.backups.store.directory) } },
    databases: config.databases.map((item) => ({
      ...item,
      migrations: absolute(item.migrations),
      ...(item.schema === undefined ? {} : { schema: absolute(item.schema) }),
    })),
  };
}

function configInvalid(file: string, present: boolean, faults: readonly Fault[], secrets: Iterable<string>): AppError {
  const hide = (text: string): string => {
    let shown = text;
    for (const secret of secrets) if (secret.length > 3) shown = shown.replaceAll(secret, '[redacted]');
    return shown;
  };
  const listed = faults.map((fault) => ({ path: fault.path, message: hide(fault.message) }));
  const source = present ? file : 'the environment (no configuration file was found)';
  const lines = listed.map((fault) => `  ${fault.path || '(top level)'}: ${fault.message}`);
  return new AppError('CONFIG_INVALID', `${source} has ${listed.length} fault(s):\n${lines.join('\n')}`, { faults: listed });
}

/** The effective configuration, fit for a terminal or a log: passwords and signing keys read `[redacted]`. */
export function describeConfig(config: Config): unknown {
  const hidden = new Set(['secret', 'sha256']);
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return hidden.has(key) ? '[redacted]' : redactUrl(value);
    if (Array.isArray(value)) return value.map((item) => walk(item, key));
    if (value !== null && typeof value === 'object')
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item, name)]));
    return value;
  };
  return walk(config, '');
}

/** A URL without its password and without query values, which may hold one (`?password=`, `?sslpassword=`). */
function redactUrl(text: string): string {
  if (!/^[a-z]+:\/\//.test(text) || !URL.canParse(text)) return text;
  const url = new URL(text);
  if (url.password !== '') url.password = '[redacted]';
  for (const key of url.searchParams.keys()) if (/pass|secret|token|key/i.test(key)) url.searchParams.set(key, '[redacted]');
  return url.href.replaceAll('%5Bredacted%5D', '[redacted]');
}

const join = (at: string, key: string | number): string => (at === '' ? String(key) : `${at}.${key}`);

function deepFreeze<T>(value: T): DeepReadonly<T> {
  if (value !== null && typeof value === 'object' && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value as DeepReadonly<T>;
}
