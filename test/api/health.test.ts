import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '../../src/backups/stores/index.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { registered, startApi, type TestApi } from './harness.ts';

const probe = async (api: TestApi, path: string, headers = {}) => {
  const response = await api.app.inject({ url: `/api/health/${path}`, headers });
  return { status: response.statusCode, body: response.json(), type: response.headers['content-type'] };
};
const runs = (api: TestApi) => api.deps.control.prisma.job.count({ where: { kind: 'health-check' } });

async function work(api: TestApi): Promise<RunningWorker> {
  const store = await openStore(api.deps.config.backups.store);
  return startWorker({ ...api.deps, store });
}

describe('with a worker', () => {
  let api: TestApi;
  let worker: RunningWorker;
  let target: TestDatabase;
  beforeAll(async () => {
    target = await createDatabase();
    api = await startApi({
      databases: [registered('orders', { url: target.url }), registered('billing', { url: target.url })],
    });
    worker = await work(api);
  });
  afterAll(async () => {
    await worker.stop();
    await api.close();
    await target.drop();
  });

  test('live and ready say pass, without a token', async () => {
    expect(await probe(api, 'live')).toEqual({
      status: 200,
      body: { status: 'pass' },
      type: expect.stringContaining('application/health+json'),
    });
    expect(await probe(api, 'ready')).toMatchObject({ status: 200, body: { status: 'pass' } });
  });

  test('ten deep probes at once share one run, and its outcome is given again', async () => {
    const before = await runs(api);
    const answers = await Promise.all(Array.from({ length: 10 }, () => probe(api, 'deep')));
    for (const answer of answers) expect(answer).toMatchObject({ status: 200 });
    for (const { body } of answers) expect(Object.keys(body)).toEqual(['status']);
    expect((await probe(api, 'deep')).status).toBe(200);
    expect((await runs(api)) - before).toBe(1);
  });

  test('with a token it names every check, as far as the token may see', async () => {
    const all = (await api.get('/api/health/deep')).json();
    expect(Object.keys(all.checks)).toEqual(
      expect.arrayContaining(['orders:connection', 'billing:connection', 'switchback:queue']),
    );
    const some = Object.keys((await api.get('/api/health/deep', 'billing')).json().checks);
    expect(some).toContain('billing:connection');
    expect(some.filter((name) => name.startsWith('orders'))).toEqual([]);
    expect((await probe(api, 'deep', { authorization: 'Bearer wrong' })).status).toBe(401);
  });

  test('a health check that was asked for is a record with its outcome', async () => {
    const created = await api.post('/api/health-checks', {});
    expect(created.statusCode).toBe(202);
    const result = await api.get(`${created.headers.location}/result?wait=20`);
    expect(result.json()).toMatchObject({
      result: { checks: { 'orders:connection': [{ status: 'pass' }] } },
    });
    const record = (await api.get(`/api/health-checks/${created.json().id}`)).json();
    expect(record).toMatchObject({
      requestedBy: 'operator',
      job: { state: 'succeeded' },
      finishedAt: expect.any(String),
    });
    expect((await api.get('/api/health-checks?limit=1')).json().items).toEqual([record]);
  });
});

test('a database that is down: 503, and a caller with a token is told which', async () => {
  const api = await startApi();
  const worker = await work(api);
  expect(await probe(api, 'deep')).toMatchObject({ status: 503, body: { status: 'fail' } });
  const { checks } = (await api.get('/api/health/deep')).json();
  expect(checks['orders:connection'][0]).toMatchObject({
    status: 'fail',
    output: expect.stringContaining('DATABASE_UNREACHABLE'),
  });
  await worker.stop();
  await api.close();
});

test('without a worker the answer comes within 4 s, and later probes add no further job', async () => {
  const api = await startApi();
  const startedAt = performance.now();
  expect(await probe(api, 'deep')).toMatchObject({ status: 503, body: { status: 'fail' } });
  expect(performance.now() - startedAt).toBeLessThan(4_000);
  const answer = await api.get('/api/health/deep');
  expect(answer.json().checks['switchback:worker'][0].output).toContain('CHECK_TIMEOUT');
  expect(await runs(api)).toBe(1);
  await api.close();
});

test('a queue that is away: not ready, and deep says why', async () => {
  const api = await startApi();
  await api.deps.queue.close();
  expect(await probe(api, 'ready')).toMatchObject({ status: 503, body: { status: 'fail' } });
  expect((await api.get('/api/health/ready')).json()).toMatchObject({
    checks: { 'switchback:control-database': [{ status: 'pass' }], 'switchback:queue': [{ status: 'fail' }] },
  });
  expect((await api.get('/api/health/deep')).json().checks['switchback:worker'][0].output).toContain(
    'QUEUE_UNAVAILABLE',
  );
  const { items } = (await api.get('/api/jobs?kind=health-check')).json();
  expect(items).toEqual([
    expect.objectContaining({
      state: 'failed',
      error: expect.objectContaining({ code: 'QUEUE_UNAVAILABLE' }),
    }),
  ]);
  await api.close();
});
