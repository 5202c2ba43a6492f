import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { pidFile } from '../../src/embedded/orphan.ts';
import { processFacts } from '../../src/embedded/processes.ts';
import { waitFor } from '../support/wait.ts';
import { type Switchback, switchback } from './switchback.ts';

// Each test starts processes, some of them twice.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
const running: Switchback[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(inject('runFolder'), 'up-'));
  await chmod(folder, 0o755);
});
afterEach(async () => {
  for (const one of running.splice(0)) {
    one.signal('SIGTERM');
    await one.ended();
  }
  await rm(folder, { recursive: true, force: true });
});

function up(env: Record<string, string> = {}): Switchback {
  const started = switchback(['up'], { cwd: folder, env: { SWITCHBACK_PORT: '0', ...env } });
  running.push(started);
  return started;
}

interface Greeting {
  readonly url: string;
  readonly token: string;
}

async function greeted(started: Switchback): Promise<Greeting> {
  await started.prints(/Ctrl-C stops it/);
  const [, url = ''] = await started.prints(/up at (\S+)/);
  const [, token = ''] = await started.prints(/token +(\S+)/);
  return { url, token };
}

const call = ({ url, token }: Greeting, place: string, body?: object): Promise<Response> =>
  fetch(url + place, {
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  });

const dataDirectory = (): string => path.join(folder, '.switchback/postgresql/data');
const postmaster = async (): Promise<number> => Number((await pidFile(dataDirectory()))[0] ?? 0);

async function leavesNothing(): Promise<void> {
  expect(await pidFile(dataDirectory())).toEqual([]);
  if (process.platform !== 'linux') return;
  const commands = readdirSync('/proc').flatMap((pid) => processFacts(Number(pid))?.command ?? []);
  expect(commands.filter((command) => command.includes(folder))).toEqual([]);
}

test('the first start prints what to do; it works; Ctrl-C stops all of it; the next start finds everything', async () => {
  const first = up();
  const greeting = await greeted(first);
  expect((await fetch(`${greeting.url}/api/health/live`)).status).toBe(200);
  expect((await fetch(`${greeting.url}/api/jobs`)).status).toBe(401);
  const [, body = '', place = ''] = await first.prints(/-d '(\{.*\})' http:\/\/[^/]+(\/api\/plans)/);
  expect((await call(greeting, place, JSON.parse(body) as object)).status).toBe(201);
  const deployment = await call(greeting, '/api/deployments', { database: 'globalrx' });
  expect(deployment.status).toBe(202);
  const job = deployment.headers.get('location') ?? '';
  expect((await call(greeting, `${job}/result?wait=20`)).status).toBe(200);

  const token = path.join(folder, '.switchback/token');
  expect((await stat(token)).mode & 0o777).toBe(0o600);
  expect(readFileSync(token, 'utf8')).toBe(greeting.token);

  first.signal('SIGINT');
  first.signal('SIGINT');
  expect(await first.ended()).toBe(0);
  expect(first.printed()).toMatch(/Stopping: .*\n(.*\n)*Switchback has stopped\.\n$/);
  await leavesNothing();

  const second = up();
  const again = await greeted(second);
  expect(again.token).toBe(greeting.token);
  expect((await call(again, job)).status).toBe(200);
  second.signal('SIGTERM');
  expect(await second.ended()).toBe(0);
  await leavesNothing();
});

test('a deployment that a stop meets is finished, or goes on after the next start', async () => {
  const first = up();
  const deployment = await call(await greeted(first), '/api/deployments', { database: 'globalrx' });
  first.signal('SIGTERM');
  expect(await first.ended()).toBe(0);
  const result = `${deployment.headers.get('location')}/result?wait=25`;
  expect((await call(await greeted(up()), result)).status).toBe(200);
});

test('after kill -9 the next start stops the orphaned server, says so, and works', async () => {
  const first = up();
  await greeted(first);
  const orphan = await postmaster();
  first.signal('SIGKILL');
  await first.ended();
  expect(processFacts(orphan)).not.toBeNull();
  const second = up();
  const greeting = await greeted(second);
  expect(second.printed()).toContain(`the server of an earlier run, process ${orphan}, was stopped first`);
  expect((await call(greeting, '/api/health/deep')).status).toBe(200);
  expect(processFacts(orphan)).toBeNull();
});

test('a second one from the same folder is told which process runs already', async () => {
  const first = up();
  const greeting = await greeted(first);
  const second = up();
  expect(await second.ended()).toBe(1);
  expect(second.printed()).toContain(`as process ${first.child.pid}.`);
  expect((await call(greeting, '/api/health/ready')).status).toBe(200);
});

test('a port that is taken is named, and nothing is left', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  const refused = up({ SWITCHBACK_PORT: port });
  const code = await refused.ended();
  other.close();
  expect(refused.printed()).toContain(
    `127.0.0.1:${port} cannot be listened on: another program listens there`,
  );
  expect(code).toBe(2);
  await leavesNothing();
});

test('Ctrl-C while it starts stops it, too', async () => {
  const early = up();
  // While initdb works, which takes long enough.
  await waitFor(() => existsSync(`${dataDirectory()}.unfinished`), { timeoutMs: 60_000 });
  early.signal('SIGINT');
  expect(await early.ended()).toBe(0);
  await leavesNothing();
});

test('it ends with 1 when its server is gone', async () => {
  const started = up();
  await greeted(started);
  process.kill(await postmaster(), 'SIGQUIT');
  expect(await started.ended()).toBe(1);
  expect(started.printed()).toContain('The embedded PostgreSQL has ended');
});
