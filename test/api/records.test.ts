import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from './harness.ts';
import { startApi, type TestApi } from './harness.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const cancel = (created: Answer) => api.post(`${created.headers.location}/cancel`);

interface Case {
  readonly resource: string;
  readonly body: object;
  readonly record: object;
  readonly payload: object;
  readonly notFound: string;
  /** What can be large, and is left out of lists; plan and report when absent. */
  readonly large?: readonly string[];
}

const cases: readonly Case[] = [
  {
    resource: 'rollback-tests',
    body: { database: 'orders', migrations: ['1_a'] },
    record: { database: 'orders', bundleId: null, outcome: null },
    payload: { migrations: ['1_a'], rows: 'generated' },
    notFound: 'ROLLBACK_TEST_NOT_FOUND',
    large: ['outcome'],
  },
  {
    resource: 'deployments',
    body: { database: 'orders' },
    record: { database: 'orders', bundleId: null, backupId: null, plan: null, report: null },
    payload: { allow: [] },
    notFound: 'DEPLOYMENT_NOT_FOUND',
  },
  {
    resource: 'deployments',
    body: { database: 'orders', bundle: 'a'.repeat(64), mode: 'atomic' },
    record: { database: 'orders', bundleId: 'a'.repeat(64) },
    payload: { bundle: 'a'.repeat(64), allow: [] },
    notFound: 'DEPLOYMENT_NOT_FOUND',
  },
  {
    resource: 'rollbacks',
    body: { database: 'orders', count: 1 },
    record: { database: 'orders', deploymentId: null, backupId: null, plan: null, report: null },
    payload: { count: 1, allow: [] },
    notFound: 'ROLLBACK_NOT_FOUND',
  },
  {
    resource: 'backups',
    body: { database: 'orders' },
    record: { database: 'orders', state: 'creating', bytes: null, verifiedAt: null },
    payload: {},
    notFound: 'BACKUP_NOT_FOUND',
  },
  {
    resource: 'recoveries',
    body: { database: 'orders', action: 'baseline', upTo: '20260101_first' },
    record: { database: 'orders', action: 'baseline', migration: '20260101_first' },
    payload: { action: 'baseline', upTo: '20260101_first' },
    notFound: 'RECOVERY_NOT_FOUND',
  },
  {
    resource: 'recoveries',
    body: { database: 'orders', action: 'resolveRolledBack', migration: '20260101_first' },
    record: { action: 'resolveRolledBack', migration: '20260101_first' },
    payload: { action: 'resolveRolledBack', migration: '20260101_first' },
    notFound: 'RECOVERY_NOT_FOUND',
  },
  {
    resource: 'health-checks',
    body: {},
    record: { database: null, outcome: null, finishedAt: null },
    payload: {},
    notFound: 'HEALTH_CHECK_NOT_FOUND',
  },
];

describe.each(cases)('$resource $body', (one) => {
  const { resource, body, record, payload, notFound, large = ['plan', 'report'] } = one;
  let created: Answer;
  beforeAll(async () => {
    created = await api.post(`/api/${resource}`, body);
  });
  afterAll(() => cancel(created));

  test('are accepted with the job to follow', async () => {
    expect(created.statusCode).toBe(202);
    const { job } = created.json();
    expect(created.headers.location).toBe(`/api/jobs/${job.id}`);
    expect(created.json()).toMatchObject({ requestedBy: 'operator', job: { state: 'queued', percent: 0 } });
    const stored = await api.deps.control.prisma.job.findUniqueOrThrow({ where: { id: job.id } });
    expect(stored.payload).toEqual(payload);
  });

  test('are found again, alone and in the list', async () => {
    const found = (await api.get(`/api/${resource}/${created.json().id}`)).json();
    expect(found).toMatchObject({ ...record, ...created.json() });
    // A list leaves out what can be large: a deployment's plan and report.
    const listed = Object.fromEntries(Object.entries(found).filter(([name]) => !large.includes(name)));
    expect((await api.get(`/api/${resource}?limit=1`)).json().items).toEqual([listed]);
    const unknown = await api.get(`/api/${resource}/${created.json().job.id}`);
    expect(unknown.json()).toMatchObject({ status: 404, code: notFound });
  });
});

test('a list pages, and filters by database', async () => {
  for (const database of ['orders', 'billing', 'orders', 'billing', 'orders'])
    await api.post('/api/backups', { database });
  const seen: string[] = [];
  let query: string | null = '';
  while (query !== null) {
    const page: { items: { id: string; database: string }[]; nextCursor: string | null } = (
      await api.get(`/api/backups?database=billing&limit=1${query}`)
    ).json();
    for (const { id, database } of page.items) {
      expect(database).toBe('billing');
      seen.push(id);
    }
    query = page.nextCursor && `&cursor=${page.nextCursor}`;
  }
  expect(seen).toHaveLength(2);
  expect(seen).toEqual(seen.toSorted().toReversed());
});

test('a second operation that excludes others is refused, naming the first', async () => {
  const first = await api.post('/api/deployments', { database: 'orders' });
  const second = await api.post('/api/deployments', { database: 'orders' });
  expect(second.json()).toMatchObject({
    status: 409,
    code: 'DATABASE_BUSY',
    detail: expect.stringContaining(first.json().job.id),
    details: { job: first.json().job.id },
  });
  expect((await api.post('/api/deployments', { database: 'billing' })).statusCode).toBe(202);
  await cancel(first);
  const third = await api.post('/api/deployments', { database: 'orders' });
  expect(third.statusCode).toBe(202);
});

test.each([
  [{ database: 'orders', action: 'resolveApplied' }, '/migration'],
  [{ database: 'orders', action: 'drop' }, '/action'],
  [{ database: 'orders', action: 'baseline', migration: 'x' }, '/migration'],
])('a recovery of another form is refused: %o', async (body, pointer) => {
  const response = await api.post('/api/recoveries', body);
  expect(response.json()).toMatchObject({
    status: 400,
    errors: [expect.objectContaining({ in: 'body', pointer })],
  });
});

test('a queue that is away: 503, and the row says so', async () => {
  await api.deps.queue.close();
  const response = await api.post('/api/backups', { database: 'orders' });
  expect(response.json()).toMatchObject({ status: 503, code: 'QUEUE_UNAVAILABLE' });
  const [job] = (await api.get('/api/jobs?limit=1')).json().items;
  expect(job).toMatchObject({ kind: 'backup', state: 'failed', error: { code: 'QUEUE_UNAVAILABLE' } });
});
