import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { hasRedis, startRedis } from '../support/redis.ts';
import { type Switchback, switchback } from './switchback.ts';

// Each test starts processes.
vi.setConfig({ testTimeout: 120_000 });

const token = 'a-token-of-the-tests';
let folder: string;
let control: TestDatabase;
const running: Switchback[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(inject('runFolder'), 'serve-'));
  control = await createDatabase();
});
afterEach(async () => {
  for (const one of running.splice(0)) {
    one.signal('SIGTERM');
    await one.ended();
  }
  await control.drop();
  await rm(folder, { recursive: true, force: true });
});

const write = (config: object): Promise<void> =>
  writeFile(path.join(folder, 'switchback.config.json'), JSON.stringify(config));

function run(verb: string, env: Record<string, string> = {}): Switchback {
  const started = switchback([verb], { cwd: folder, env });
  running.push(started);
  return started;
}

const sha256 = createHash('sha256').update(token).digest('hex');
const variable = (name: string): string => `\${${name}}`;
const settings = {
  http: { port: 0 },
  controlDatabase: { url: variable('CONTROL_URL') },
  tokens: [{ name: 'tests', sha256, scopes: ['operate'] }],
};

async function deepHealth(env: Record<string, string>): Promise<void> {
  const api = run('serve', env);
  const worker = run('work', env);
  const [, url = ''] = await api.prints(/"address":"(\S+?)"/);
  await worker.prints(/taking jobs/);
  const answer = await fetch(`${url}/api/health/deep`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  for (const one of [api, worker]) {
    one.signal('SIGTERM');
    expect(await one.ended()).toBe(0);
    expect(one.printed()).not.toContain(new URL(control.url).password);
    expect(one.printed()).not.toContain(token);
  }
}

describe('serve and work', () => {
  test('are two processes that meet in the control database', async () => {
    await write(settings);
    await deepHealth({ CONTROL_URL: control.url });
  });

  test.runIf(hasRedis)('and in Redis', async () => {
    const redis = await startRedis();
    await write({ ...settings, queue: { url: redis.url } });
    await deepHealth({ CONTROL_URL: control.url });
    await redis.stop();
  });

  test.each(['serve', 'work'])(
    "%s needs a control database, and never takes the application's",
    async (verb) => {
      const refused = run(verb, { DATABASE_URL: control.url });
      expect(await refused.ended()).toBe(2);
      expect(refused.printed()).toContain('set SWITCHBACK_DATABASE_URL');
    },
  );

  test('serve says that the control database cannot be reached', async () => {
    const refused = run('serve', { SWITCHBACK_DATABASE_URL: 'postgres://me:hidden@127.0.0.1:1/nowhere' });
    expect(await refused.ended()).toBe(1);
    expect(refused.printed()).toContain('CONTROL_DATABASE_UNREACHABLE');
    expect(refused.printed()).not.toContain('hidden');
  });
});

describe('check-config', () => {
  test('prints the effective configuration without its secrets', async () => {
    await write({
      ...settings,
      databases: [{ name: 'orders', url: variable('ORDERS'), migrations: 'migrations' }],
    });
    const checked = run('check-config', {
      CONTROL_URL: 'postgres://me:hidden-one@db/control',
      ORDERS: 'postgres://me:hidden-two@db/orders',
      SWITCHBACK_PORT: '7001',
    });
    expect(await checked.ended()).toBe(0);
    expect(JSON.parse(checked.printed())).toMatchObject({
      http: { port: 7001, host: '127.0.0.1' },
      controlDatabase: { url: 'postgres://me:[redacted]@db/control' },
      databases: [{ name: 'orders', migrations: path.join(folder, 'migrations'), environment: 'production' }],
      tokens: [{ name: 'tests', sha256: '[redacted]' }],
    });
    expect(checked.printed()).not.toContain('hidden');
  });

  test('lists every fault, and exits with 2', async () => {
    await write({ http: { port: 'many' }, databases: [{ name: 'Orders' }], unheard: true });
    const checked = run('check-config', { SWITCHBACK_TYPO: '1' });
    expect(await checked.ended()).toBe(2);
    for (const fault of [
      'http.port:',
      'databases.0.name:',
      'databases.0.url:',
      'unheard:',
      'SWITCHBACK_TYPO:',
    ])
      expect(checked.printed()).toContain(`  ${fault}`);
  });

  test('of a file that is named and not there, too', async () => {
    const checked = switchback(['check-config', '--config', 'other.json'], { cwd: folder });
    expect(await checked.ended()).toBe(2);
    expect(checked.printed()).toContain(path.join(folder, 'other.json'));
  });
});

test('an unknown verb is refused with a list of those there are', async () => {
  const refused = run('fly');
  expect(await refused.ended()).toBe(1);
  expect(refused.printed()).toContain("unknown command 'fly'");
});
