import net from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import type { HealthOutcome } from '../../src/health/outcome.ts';
import { type HealthRequest, runChecks } from '../../src/health/run.ts';
import { createDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

let database: Awaited<ReturnType<typeof createDatabase>>;
const servers: net.Server[] = [];

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const run = (sql: string): Promise<unknown> =>
  withSession(parseTarget(database.url), { applicationName: 'test' }, (session) => session.query(sql));
const check = (changes: Partial<HealthRequest> = {}): Promise<HealthOutcome> =>
  runChecks({
    databases: [{ name: 'orders', url: database.url }],
    components: [],
    deadlineMs: 3_000,
    signal: new AbortController().signal,
    ...changes,
  });
/** A server that accepts connections and never says a word. */
async function silentServer(): Promise<{ url: string; connections: () => number }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.resume();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  return { url: `postgres://nobody@127.0.0.1:${port}/nothing`, connections: () => sockets.size };
}

describe('a health check', () => {
  test('of a sound database passes all its checks', async () => {
    const outcome = await check();
    expect(outcome.status).toBe('pass');
    expect(Object.keys(outcome.checks)).toEqual([
      'orders:connection',
      'orders:history',
      'orders:indexes',
      'orders:transactions',
      'orders:wraparound',
    ]);
    expect(outcome.checks['orders:connection']).toEqual([
      {
        status: 'pass',
        observedValue: expect.any(Number),
        observedUnit: 'ms',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        durationMs: expect.any(Number),
      },
    ]);
  });

  test('names a failed migration, and tells it from one that runs', async () => {
    await run(`create table _prisma_migrations
      (migration_name text, logs text, started_at timestamptz default now(), finished_at timestamptz, rolled_back_at timestamptz)`);
    await run("insert into _prisma_migrations (migration_name) values ('1_running')");
    expect((await check()).checks['orders:history']?.[0]).toMatchObject({
      status: 'warn',
      observedValue: 0,
      output: expect.stringContaining('1_running'),
    });
    await run("update _prisma_migrations set migration_name = '1_failed', logs = 'it broke'");
    const failed = await check();
    expect(failed.status).toBe('warn');
    expect(failed.checks['orders:history']?.[0]).toMatchObject({
      status: 'warn',
      observedValue: 1,
      output: expect.stringContaining('1_failed'),
    });
    await run('update _prisma_migrations set rolled_back_at = now()');
    expect((await check()).status).toBe('pass');
    await run('drop table _prisma_migrations');
  });

  test('finds an invalid index', async () => {
    await run('create table item (id int); insert into item values (1), (1)');
    await expect(run('create unique index concurrently "item_Id_key" on item (id)')).rejects.toMatchObject({
      code: 'STATEMENT_FAILED',
    });
    expect((await check()).checks['orders:indexes']?.[0]).toMatchObject({
      status: 'warn',
      observedValue: 1,
      output: expect.stringContaining('public."item_Id_key"'),
    });
    await run('drop table item');
  });

  test('fails for a database that takes no writes', async () => {
    const readOnly = await createDatabase();
    const name = parseTarget(readOnly.url).database;
    await run(`alter database "${name}" set default_transaction_read_only = on`);
    const outcome = await check({ databases: [{ name: 'orders', url: readOnly.url }] });
    await readOnly.drop();
    expect(outcome.status).toBe('fail');
    expect(outcome.checks['orders:connection']?.[0]).toMatchObject({
      status: 'fail',
      output: expect.stringContaining('read-only'),
    });
  });

  test('fails for a database that cannot be reached, without its password', async () => {
    const outcome = await check({
      databases: [
        { name: 'orders', url: database.url },
        { name: 'gone', url: 'postgres://user:very-secret@127.0.0.1:1/gone' },
      ],
    });
    expect(outcome.status).toBe('fail');
    expect(outcome.checks['gone:connection']?.[0]).toMatchObject({
      status: 'fail',
      output: expect.stringContaining('DATABASE_UNREACHABLE'),
    });
    expect(outcome.checks['orders:connection']?.[0]?.status).toBe('pass');
    expect(JSON.stringify(outcome)).not.toContain('very-secret');
  });

  test('answers in time when servers hang, and lets go of them', async () => {
    const silent = await silentServer();
    const startedAt = performance.now();
    const outcome = await check({
      databases: [
        { name: 'orders', url: database.url },
        ...Array.from({ length: 40 }, (_, index) => ({ name: `silent-${index}`, url: silent.url })),
      ],
      deadlineMs: 1_000,
    });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(outcome.status).toBe('fail');
    expect(outcome.checks['orders:wraparound']?.[0]?.status).toBe('pass');
    const silentOnes = Array.from(
      { length: 40 },
      (_, index) => outcome.checks[`silent-${index}:connection`]?.[0],
    );
    const failed = silentOnes.filter((result) => result?.status === 'fail');
    const unreached = silentOnes.filter((result) => result?.status === 'warn');
    expect(failed[0]?.output).toContain('CHECK_TIMEOUT');
    expect(unreached[0]?.output).toContain('not checked');
    expect(failed.length + unreached.length).toBe(40);
    await waitFor(() => silent.connections() === 0, { timeoutMs: 5_000 });
  });

  test('of 5,000 databases is answered in time, and names those it did not get to', async () => {
    const databases = Array.from({ length: 5_000 }, (_, index) => ({ name: `d${index}`, url: database.url }));
    const startedAt = performance.now();
    const outcome = await check({ databases, deadlineMs: 1_000 });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    for (const { name } of databases) expect(outcome.checks[`${name}:connection`]).toHaveLength(1);
    expect(Object.values(outcome.checks).some(([result]) => result?.output?.startsWith('not checked'))).toBe(
      true,
    );
  });

  test('a component that throws, or is silent, fails by its name', async () => {
    const outcome = await check({
      databases: [],
      components: [
        { name: 'switchback:sound', timeoutMs: 100, run: async () => ({ status: 'pass' }) },
        { name: 'switchback:broken', timeoutMs: 100, run: () => Promise.reject(new Error('internals')) },
        { name: 'switchback:silent', timeoutMs: 100, run: () => new Promise(() => undefined) },
      ],
    });
    expect(outcome.status).toBe('fail');
    expect(outcome.checks['switchback:sound']?.[0]?.status).toBe('pass');
    expect(outcome.checks['switchback:broken']?.[0]).toMatchObject({ status: 'fail' });
    expect(outcome.checks['switchback:silent']?.[0]?.output).toContain('CHECK_TIMEOUT');
    expect(JSON.stringify(outcome)).not.toContain('internals');
  });

  test('ends when its job is cancelled', async () => {
    const silent = await silentServer();
    const abort = new AbortController();
    const checking = check({
      databases: [{ name: 'silent', url: silent.url }],
      signal: abort.signal,
    });
    await waitFor(() => silent.connections() > 0, { timeoutMs: 2_000 });
    abort.abort(new Error('cancelled by a test'));
    await expect(checking).rejects.toThrow('cancelled by a test');
  });
});
