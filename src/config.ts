/**
 * Configuration: one JSON file plus environment, checked once at start. The only reader of `process.env`.
 *
 * Every fault is collected and listed in one `CONFIG_INVALID`. A string in the file may hold `${NAME}`, which is
 * replaced by the environment variable of that name: this is how secrets stay out of the file. `DATABASE_URL` is
 * never read: it is the application's.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { type Config, configSchema, type DeepReadonly, type Parsed } from './config-schema.ts';
import { AppError } from './errors.ts';

export * from './config-schema.ts';
export { type Allowance, allowance, type Policy } from './policy-config.ts';

/** Environment variables with our prefix, and the place in the file that each overrides. */
export const environmentVariables: Readonly<
  Record<string, { path: readonly string[]; number?: true; description: string }>
> = {
  SWITCHBACK_CONFIG: {
    path: [],
    description: 'The configuration file; `switchback.config.json` when absent',
  },
  SWITCHBACK_DATABASE_URL: { path: ['controlDatabase', 'url'], description: 'The control database' },
  SWITCHBACK_QUEUE_URL: { path: ['queue', 'url'], description: "BullMQ's backend: redis:// or postgres://" },
  SWITCHBACK_HOST: { path: ['http', 'host'], description: 'Address to listen on' },
  SWITCHBACK_PORT: { path: ['http', 'port'], number: true, description: 'Port to listen on' },
  SWITCHBACK_DATA_DIRECTORY: { path: ['dataDirectory'], description: 'Embedded server and first token' },
  SWITCHBACK_LOG_LEVEL: { path: ['logLevel'], description: 'pino level' },
  SWITCHBACK_NO_INSTALL: {
    path: [],
    description: "Forbids the start scripts to install PostgreSQL's client programs",
  },
  PG_BIN_DIR: { path: ['postgresPrograms'], description: 'Folder with pg_dump, pg_restore and psql' },
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads, checks and freezes the configuration.
 * @throws AppError `CONFIG_INVALID` with `details.faults: {path, message}[]`
 */
export function loadConfig(
  env: Environment = process.env,
  options: { file?: string; cwd?: string } = {},
): Config {
  const cwd = options.cwd ?? process.cwd();
  const faults: ConfigFault[] = [];
  const named = options.file ?? env.SWITCHBACK_CONFIG;
  const file = path.resolve(cwd, named ?? 'switchback.config.json');
  const present = existsSync(file);
  if (named !== undefined && !present)
    faults.push({ path: 'SWITCHBACK_CONFIG', message: `there is no file ${file}` });
  const secrets = new Set<string>();
  const raw = present ? substitute(readJson(file, faults), env, faults, secrets) : {};
  const input = applyEnvironment(raw, env, faults);
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) faults.push(...parsed.error.issues.flatMap(describeIssue));
  else faults.push(...crossCheck(parsed.data));
  if (faults.length > 0 || !parsed.success) throw configInvalid(file, present, faults, secrets);
  const { $schema: _, ...data } = parsed.data;
  return deepFreeze({
    ...resolvePaths(data, present ? path.dirname(file) : cwd),
    file: present ? file : null,
  });
}

/** The folders of PATH, for finding PostgreSQL's programs. */
export const programDirectories = (env: Environment = process.env): readonly string[] =>
  (env.PATH ?? '').split(path.delimiter).filter((directory) => directory !== '');

/** What is wrong at one place of the configuration. */
export interface ConfigFault {
  readonly path: string;
  readonly message: string;
}

function readJson(file: string, faults: ConfigFault[]): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    faults.push({ path: file, message: `cannot be read as JSON: ${(error as Error).message}` });
    return {};
  }
}

function substitute(
  value: unknown,
  env: Environment,
  faults: ConfigFault[],
  secrets: Set<string>,
  at = '',
): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, variable: string) => {
      const found = env[variable];
      if (found === undefined)
        faults.push({ path: at, message: `the environment variable ${variable} is not set` });
      else secrets.add(found);
      return found ?? whole;
    });
  }
  if (Array.isArray(value))
    return value.map((item, index) => substitute(item, env, faults, secrets, join(at, index)));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        substitute(item, env, faults, secrets, join(at, key)),
      ]),
    );
  }
  return value;
}

function applyEnvironment(raw: unknown, env: Environment, faults: ConfigFault[]): unknown {
  const result = structuredClone(raw) as Record<string, unknown>;
  for (const [variable, value] of Object.entries(env)) {
    const known = environmentVariables[variable];
    if (variable.startsWith('SWITCHBACK_') && known === undefined)
      faults.push({ path: variable, message: 'there is no such setting' });
    if (known === undefined || known.path.length === 0 || value === undefined || value === '') continue;
    setAt(result, known.path, known.number ? Number(value) : value);
  }
  return result;
}

function setAt(object: Record<string, unknown>, [key, ...deeper]: readonly string[], value: unknown): void {
  if (key === undefined) return;
  if (deeper.length === 0) {
    object[key] = value;
    return;
  }
  const inner = object[key] ?? {};
  object[key] = inner;
  setAt(inner as Record<string, unknown>, deeper, value);
}

function describeIssue(issue: z.core.$ZodIssue): ConfigFault[] {
  const at = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: join(at, key), message: 'there is no such setting' }));
  return [{ path: at, message: issue.message }];
}

function crossCheck(config: Parsed): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const unique = (list: readonly { name: string }[], at: string): void => {
    const seen = new Set<string>();
    list.forEach((item, index) => {
      if (seen.has(item.name))
        faults.push({ path: `${at}.${index}.name`, message: `"${item.name}" is used twice` });
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
    analysis: config.analysis.rules === undefined ? {} : { rules: absolute(config.analysis.rules) },
    ...(config.transforms === undefined ? {} : { transforms: absolute(config.transforms) }),
    backups: {
      ...config.backups,
      store: { ...config.backups.store, directory: absolute(config.backups.store.directory) },
    },
    databases: config.databases.map((item) => ({
      ...item,
      migrations: absolute(item.migrations),
      ...(item.schema === undefined ? {} : { schema: absolute(item.schema) }),
      ...(item.previousSchema === undefined ? {} : { previousSchema: absolute(item.previousSchema) }),
    })),
  };
}

function configInvalid(
  file: string,
  present: boolean,
  faults: readonly ConfigFault[],
  secrets: Iterable<string>,
): AppError {
  const hide = (text: string): string => {
    let shown = text;
    for (const secret of secrets) if (secret.length > 3) shown = shown.replaceAll(secret, '[redacted]');
    return shown;
  };
  const listed = faults.map((fault) => ({ path: fault.path, message: hide(fault.message) }));
  return configFaults(present ? file : null, listed);
}

/** @param file the file that was read, or null when there was none */
export function configFaults(file: string | null, faults: readonly ConfigFault[]): AppError {
  const source = file ?? 'the environment (no configuration file was found)';
  const lines = faults.map((fault) => `  ${fault.path || '(top level)'}: ${fault.message}`);
  return new AppError('CONFIG_INVALID', `${source} has ${faults.length} fault(s):\n${lines.join('\n')}`, {
    faults,
  });
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
  for (const key of url.searchParams.keys())
    if (/pass|secret|token|key/i.test(key)) url.searchParams.set(key, '[redacted]');
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
