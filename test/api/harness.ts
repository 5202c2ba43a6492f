/** The application with a real control database and a real queue, for this folder's tests. */
import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { type App, buildApp } from '../../src/api/app.ts';
import type { ApiDependencies } from '../../src/api/dependencies.ts';
import { type Config, configSchema } from '../../src/config.ts';
import { openControl } from '../../src/db/control/control.ts';
import { openQueue } from '../../src/jobs/queue.ts';
import { borrowAnalyst } from '../support/analyst.ts';
import { createControlDatabase } from '../support/control.ts';
import type { TestDatabase } from '../support/postgres.ts';

const secretOf = (name: string): string => `test-token-${name}`;
const token = (name: string, rest: object) => ({
  name,
  sha256: createHash('sha256').update(secretOf(name)).digest('hex'),
  ...rest,
});

/** Tokens that every test's configuration knows. */
export const tokens = [
  token('reader', { scopes: ['read'] }),
  token('operator', { scopes: ['operate'] }),
  token('approver', { scopes: ['approve'] }),
  token('admin', { scopes: ['admin'] }),
  token('expired', { scopes: ['admin'], expiresAt: '2020-01-01T00:00:00Z' }),
  token('billing', { scopes: ['approve'], databases: ['billing'] }),
];
export type TokenName = 'reader' | 'operator' | 'approver' | 'admin' | 'expired' | 'billing';

export const bearer = (name: TokenName) => ({ authorization: `Bearer ${secretOf(name)}` });

export type Answer = Awaited<ReturnType<App['inject']>>;

export interface TestApi {
  readonly app: App;
  readonly deps: ApiDependencies;
  /** Everything that was logged. */
  readonly logged: () => string;
  get(url: string, as?: TokenName, headers?: Record<string, string>): Promise<Answer>;
  post(url: string, body?: unknown, as?: TokenName, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

/**
 * @param settings what differs from the defaults of the configuration file
 * @param database the control database; a new one when absent. It is dropped at the end.
 */
export async function startApi(
  settings: Record<string, unknown> = {},
  database?: Pick<TestDatabase, 'url' | 'drop'>,
): Promise<TestApi> {
  const own = database ?? (await createControlDatabase());
  const config = configure(settings);
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line) => void lines.push(line) });
  const control = await openControl(own.url);
  const queue = await openQueue({ url: own.url, prefix: 'bullmq' });
  const analyst = await borrowAnalyst(config.analysis.rules);
  const deps: ApiDependencies = { config, control, queue, analyst, log };
  const app = await buildApp(deps);
  return {
    app,
    deps,
    logged: () => lines.join(''),
    get: (url, as = 'reader', headers = {}) => app.inject({ url, headers: { ...bearer(as), ...headers } }),
    post: (url, body, as = 'operator', headers = {}) =>
      app.inject({
        method: 'POST',
        url,
        headers: { ...bearer(as), ...headers },
        ...(body === undefined ? {} : { payload: body as object }),
      }),
    async close() {
      await app.close();
      await analyst.close();
      await queue.close();
      await control.close();
      await own.drop();
    },
  };
}

function configure(settings: Record<string, unknown>): Config {
  const { $schema: _, ...parsed } = configSchema.parse({
    databases: [registered('orders'), registered('billing')],
    tokens,
    ...settings,
  });
  return { ...parsed, file: null };
}

/** A database of the configuration; nothing listens at its URL unless one is given. */
export const registered = (name: string, rest: object = {}) => ({
  name,
  url: 'postgres://nobody@127.0.0.1:1/nowhere',
  migrations: 'test/api/fixtures/migrations',
  policy: { backup: { never: 'a test database' } },
  ...rest,
});
