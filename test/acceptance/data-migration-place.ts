/** The service as callers see it: HTTP in front, workers in processes of their own, databases with rows. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import { type App, buildApp } from '../../src/api/app.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';

const token = 'a-token-of-the-tests';
const sha256 = createHash('sha256').update(token).digest('hex');

/** A machine that is busy with other tests is no reason to pause. */
export const unlimited = {
  replicationLagMs: null,
  replicationLagBytes: null,
  retainedWalBytes: null,
  lockWaitMs: null,
  deadlocksPerMinute: null,
  timesUsualLatency: null,
  walBytesPerSecond: null,
  checkpointsPerMinute: null,
  freeDiskBytes: null,
  connectionsShare: null,
};

export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface Message {
  readonly event: string;
  readonly body: Record<string, unknown>;
}

/** As `GET /api/data-migrations/:id` shows it, as far as these tests look. */
export interface Shown {
  readonly id: string;
  readonly state: string;
  readonly job: {
    readonly id: string;
    readonly state: string;
    readonly error: { readonly code: string } | null;
  };
  readonly progress: { readonly scanned: number; readonly changed: number; readonly total: number } | null;
  readonly control: { readonly paused: boolean; readonly parallelism: number };
  readonly validation: { readonly passed: boolean; readonly by: string } | null;
}

export interface DataMigrationPlace {
  readonly switchback: TestSwitchback;
  readonly orders: TestDatabase;
  readonly crm: TestDatabase;
  call(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  text(url: string): Promise<string>;
  /** Asks for a data migration of `orders`; its id and its job's. */
  ask(spec: object, more?: object): Promise<{ readonly id: string; readonly job: string }>;
  shown(id: string): Promise<Shown>;
  /** Waits until it is in a state. */
  inState(id: string, ...states: readonly string[]): Promise<Shown>;
  /** Reads the events of a job to their end. */
  events(job: string): Promise<Message[]>;
  work(): Promise<RunningWorker>;
  workApart(): Promise<ChildProcess>;
  close(): Promise<void>;
}

/** @param policy of both databases, beside what tests need */
export async function openDataMigrationPlace(
  settings: object = {},
  policy: object = {},
): Promise<DataMigrationPlace> {
  const orders = await createDatabase();
  const crm = await createDatabase();
  const registered = (name: string, { url }: TestDatabase) => ({
    ...{ name, url, migrations: 'none' },
    policy: { backup: { never: 'a test database' }, throttle: unlimited, ...policy },
  });
  const switchback = await openSwitchback({
    databases: [registered('orders', orders), registered('crm', crm)],
    tokens: [{ name: 'tests', sha256, scopes: ['operate'] }],
    http: { rateLimitPerMinute: 1_000_000 },
    ...settings,
  });
  const app: App = await buildApp(switchback.deps);
  const origin = await app.listen({ port: 0, host: '127.0.0.1' });
  const authorization = `Bearer ${token}`;
  const workers: RunningWorker[] = [];
  const children: ChildProcess[] = [];
  const place: DataMigrationPlace = {
    ...{ switchback, orders, crm },
    async call(method, url, body, headers = {}) {
      const response = await fetch(`${origin}${url}`, {
        method,
        headers: {
          ...{ authorization, ...headers },
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return {
        ...{ status: response.status, headers: response.headers },
        body: (await response.json()) as Record<string, unknown>,
      };
    },
    text: async (url) => (await fetch(`${origin}${url}`, { headers: { authorization } })).text(),
    async ask(spec, more = {}) {
      const { status, body } = await place.call('POST', '/api/data-migrations', {
        ...{ database: 'orders', spec: { name: 'test', ...spec } },
        ...more,
      });
      if (status !== 202) throw new Error(JSON.stringify(body));
      return { id: String(body.id), job: (body.job as { id: string }).id };
    },
    shown: async (id) => (await place.call('GET', `/api/data-migrations/${id}`)).body as unknown as Shown,
    inState: (id, ...states) =>
      waitFor(() => place.shown(id), {
        // What a record says its job says a moment later.
        until: ({ state, job }) => states.includes(state) && job.state !== 'running',
        ...{ what: states.join(' or '), timeoutMs: 40_000 },
      }),
    async events(job) {
      const response = await fetch(`${origin}/api/jobs/${job}/events`, { headers: { authorization } });
      const found: Message[] = [];
      for (const block of (await response.text()).split('\n\n')) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data === undefined) continue;
        const { type, body } = JSON.parse(data) as { type: string; body: Record<string, unknown> };
        found.push({ event: type, body });
      }
      return found;
    },
    async work() {
      const worker = await startWorker(switchback.deps, { heartbeatMs: 200, staleMs: 1_500, repairMs: 200 });
      workers.push(worker);
      return worker;
    },
    async workApart() {
      const { controlUrl, queueUrl, prefix, deps } = switchback;
      const input = JSON.stringify({ config: deps.config, controlUrl, queueUrl, prefix });
      const script = path.join(import.meta.dirname, 'worker-process.ts');
      const child = spawn(process.execPath, ['--import', 'tsx', script, input], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.push(child);
      await once(child.stdout, 'data');
      return child;
    },
    async close() {
      for (const child of children) child.kill('SIGKILL');
      for (const worker of workers) await worker.stop();
      await app.close();
      await switchback.close();
      await orders.drop();
      await crm.drop();
    },
  };
  return place;
}
