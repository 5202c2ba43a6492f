import { afterAll, beforeAll, expect, test } from 'vitest';
import { prepareControl } from '../../src/jobs/prepare-control.ts';
import { startServer, type TestServer } from '../support/postgres.ts';
import { registered, startApi, type TestApi } from './harness.ts';

let server: TestServer;
let api: TestApi;
beforeAll(async () => {
  server = await startServer(15);
  await prepareControl(server.url(), new AbortController().signal);
  const policy = { bundles: 'upload', backup: { never: 'a test database' } };
  api = await startApi(
    { databases: [registered('orders', { policy })] },
    { url: server.url(), drop: () => server.stop() },
  );
  expect((await api.get('/api/jobs')).statusCode).toBe(200);
});
afterAll(() => api.close());

test('without its control database every route but live says so, to be asked again', async () => {
  await server.stop('immediate');
  for (const url of ['/api/jobs', '/api/databases', '/api/deployments', '/api/alerts', '/metrics']) {
    const response = await api.get(url);
    expect([response.statusCode, response.json().code], url).toEqual([503, 'CONTROL_DATABASE_UNREACHABLE']);
    expect(Number(response.headers['retry-after']), url).toBeGreaterThan(0);
  }
  const created = await api.post('/api/backups', { database: 'orders' }, 'operator', {
    'idempotency-key': 'x',
  });
  expect(created.json()).toMatchObject({ status: 503, code: 'CONTROL_DATABASE_UNREACHABLE' });
  expect((await api.get('/api/health/live')).statusCode).toBe(200);
  expect((await api.get('/api/health/ready')).json()).toMatchObject({
    status: 'fail',
    checks: {
      'switchback:control-database': [
        { status: 'fail', output: expect.stringContaining('CONTROL_DATABASE_UNREACHABLE') },
      ],
    },
  });
  expect((await api.get('/api/health/deep')).statusCode).toBe(503);

  await server.restart('fast');
  await expect.poll(async () => (await api.get('/api/jobs')).statusCode, { timeout: 10_000 }).toBe(200);
});
