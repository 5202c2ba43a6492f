import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { registered, startApi, type TestApi } from './harness.ts';

const place = { url: 'https://shop.example/metrics?key=hunter2', value: '/p95' };
const secretive = { latency: { ...place, limit: 1 }, disk: place };

let api: TestApi;
let target: TestDatabase;
beforeAll(async () => {
  target = await createDatabase();
  api = await startApi({
    databases: [
      registered('orders', { url: target.url, healthUrls: ['https://shop.example/health?key=hunter2'] }),
      registered('billing', { policy: { backup: { never: 'a test database' }, throttle: secretive } }),
      registered('customers', { url: target.url, migrations: 'test/api/fixtures/missing' }),
    ],
  });
});
afterAll(async () => {
  await api.close();
  await target.drop();
});

test('the list pages by name, and tells no secret', async () => {
  const first = (await api.get('/api/databases?limit=2')).json();
  expect(first.items.map((item: { name: string }) => item.name)).toEqual(['orders', 'billing']);
  expect(first.items[0]).toMatchObject({
    environment: 'production',
    policy: { outOfOrder: 'warn' },
    healthUrls: ['https://shop.example/health'],
    activeJob: null,
  });
  const shown = { url: 'https://shop.example/metrics', value: '/p95' };
  expect(first.items[1].policy.throttle).toMatchObject({ latency: { ...shown, limit: 1 }, disk: shown });
  const second = await api.get(`/api/databases?limit=2&cursor=${first.nextCursor}`);
  expect(second.json()).toMatchObject({ items: [{ name: 'customers' }], nextCursor: null });
  expect(JSON.stringify(first)).not.toMatch(/hunter2|postgres:/);
});

test('a database shows what is pending, and the operation that excludes others', async () => {
  const deployment = (await api.post('/api/deployments', { database: 'orders' })).json();
  expect((await api.get('/api/databases/orders')).json()).toMatchObject({
    name: 'orders',
    serverVersion: expect.stringMatching(/^15/),
    error: null,
    migrations: { pending: 2 },
    faults: [],
    activeJob: { id: deployment.job.id, kind: 'deployment', state: 'queued' },
  });
  const busy = await api.post('/api/recoveries', { database: 'orders', action: 'baseline' });
  expect(busy.json()).toMatchObject({
    status: 409,
    code: 'DATABASE_BUSY',
    details: { job: deployment.job.id },
  });
  await api.post(`/api/jobs/${deployment.job.id}/cancel`);
});

describe('a database that cannot be looked at', () => {
  test.each([
    ['billing', 'DATABASE_UNREACHABLE', 503],
    ['customers', 'MIGRATIONS_DIRECTORY_MISSING', 422],
  ])('%s says why: %s', async (name, code, status) => {
    expect((await api.get(`/api/databases/${name}`)).json()).toMatchObject({
      error: { code },
      migrations: {},
    });
    for (const path of ['migrations', 'migrations/20260101000000_first'])
      expect((await api.get(`/api/databases/${name}/${path}`)).json(), path).toMatchObject({ status, code });
    expect((await api.post('/api/plans', { database: name })).json()).toMatchObject({ status, code });
  });

  test('an unknown one is not found', async () => {
    for (const path of ['', '/migrations', '/migrations/x'])
      expect((await api.get(`/api/databases/unheard-of${path}`)).json()).toMatchObject({
        code: 'DATABASE_UNKNOWN',
      });
    for (const resource of ['plans', 'deployments', 'backups'])
      expect((await api.post(`/api/${resource}`, { database: 'unheard-of' })).json()).toMatchObject({
        status: 404,
        code: 'DATABASE_UNKNOWN',
      });
  });
});

describe('migrations', () => {
  test('are listed in the order in which they are applied, page by page', async () => {
    const first = (await api.get('/api/databases/orders/migrations?limit=1')).json();
    expect(first.items).toEqual([
      expect.objectContaining({ name: '20260101000000_first', state: 'pending', appliedAt: null }),
    ]);
    const second = await api.get(`/api/databases/orders/migrations?cursor=${first.nextCursor}`);
    expect(second.json()).toMatchObject({ items: [{ name: '20260102000000_second' }], nextCursor: null });
    const gone = Buffer.from('no_such_migration').toString('base64url');
    expect((await api.get(`/api/databases/orders/migrations?cursor=${gone}`)).json().code).toBe(
      'INVALID_CURSOR',
    );
  });

  test('one shows its text, and how it would be run', async () => {
    const found = (await api.get('/api/databases/orders/migrations/20260102000000_second')).json();
    expect(found.sql).toContain('CREATE INDEX');
    expect(found.planned.segments[0]).toMatchObject({
      runs: 'transaction',
      steps: [{ line: 2 }, { line: 3 }],
    });
    expect((await api.get('/api/databases/orders/migrations/nothing')).json()).toMatchObject({
      status: 404,
      code: 'MIGRATION_NOT_FOUND',
    });
  });
});

describe('a plan', () => {
  test('is made at once, kept, and found again', async () => {
    const response = await api.post('/api/plans', { database: 'orders' });
    expect(response.statusCode).toBe(201);
    const plan = response.json();
    expect(response.headers.location).toBe(`/api/plans/${plan.id}`);
    expect(plan).toMatchObject({
      database: 'orders',
      requestedBy: 'operator',
      body: { migrations: [{ name: '20260101000000_first' }, { name: '20260102000000_second' }], faults: [] },
    });
    expect((await api.get(`/api/plans/${plan.id}`)).json()).toEqual(plan);
    const { body: _, ...listed } = plan;
    expect((await api.get('/api/plans?database=orders')).json().items[0]).toEqual(listed);
    expect((await api.get(`/api/plans/${plan.id}`, 'billing')).statusCode).toBe(404);
  });

  test('refuses to allow what cannot be allowed', async () => {
    const allow = [{ code: 'STATEMENT_FAILED', reason: 'it will be fine' }];
    expect((await api.post('/api/plans', { database: 'orders', allow })).json()).toMatchObject({
      status: 422,
      code: 'ALLOWANCE_UNKNOWN',
    });
  });
});
