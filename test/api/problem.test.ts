import { v7 as newId } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { catalogue } from '../../src/errors.ts';
import { startApi, type TestApi } from './harness.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ http: { maxBundleBytes: 2_048 } });
});
afterAll(() => api.close());

test('an error is a problem of RFC 9457, with the id of the request', async () => {
  const response = await api.get('/api/jobs/019386ac-0000-7000-8000-000000000000');
  expect(response.statusCode).toBe(404);
  expect(response.headers['content-type']).toContain('application/problem+json');
  expect(response.json()).toEqual({
    type: 'urn:switchback:error:job-not-found',
    title: catalogue.JOB_NOT_FOUND.title,
    status: 404,
    detail: 'There is no job 019386ac-0000-7000-8000-000000000000.',
    instance: `urn:uuid:${String(response.headers['x-request-id'])}`,
    code: 'JOB_NOT_FOUND',
    details: { job: '019386ac-0000-7000-8000-000000000000' },
  });
});

describe('validation', () => {
  test.each<[string, unknown, { in: string; pointer: string }[]]>([
    ['no body', undefined, [{ in: 'body', pointer: '' }]],
    ['an array', [], [{ in: 'body', pointer: '' }]],
    ['a number for a name', { database: 5 }, [{ in: 'body', pointer: '/database' }]],
    ['an unknown field', { database: 'orders', force: true }, [{ in: 'body', pointer: '/force' }]],
    [
      'several faults at once',
      { database: '', mode: 'fast', 'a/b~c': 1 },
      [
        { in: 'body', pointer: '/database' },
        { in: 'body', pointer: '/mode' },
        { in: 'body', pointer: '/a~1b~0c' },
      ],
    ],
    [
      'an allowance without a reason',
      { database: 'orders', allow: [{ code: 'MIGRATION_MISSING' }] },
      [{ in: 'body', pointer: '/allow/0/reason' }],
    ],
    ['a bundle that is no id', { database: 'orders', bundle: '../x' }, [{ in: 'body', pointer: '/bundle' }]],
  ])('names every fault: %s', async (_name, body, faults) => {
    const response = await api.post('/api/deployments', body, 'admin');
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({
      code: 'VALIDATION_FAILED',
      errors: faults.map((fault) => expect.objectContaining(fault)),
    });
  });

  test.each([
    ['/api/jobs/no-id', 'path', '/id'],
    ['/api/jobs?limit=0', 'query', '/limit'],
    ['/api/jobs?limit=101', 'query', '/limit'],
    ['/api/jobs?limit=ten', 'query', '/limit'],
    ['/api/jobs?sort=asc', 'query', '/sort'],
    ['/api/jobs?state=lost', 'query', '/state'],
    ['/api/jobs/019386ac-0000-7000-8000-000000000000/result?wait=301', 'query', '/wait'],
    ['/api/jobs/019386ac-0000-7000-8000-000000000000/events?after=-1', 'query', '/after'],
  ])('%s', async (url, part, pointer) => {
    const response = await api.get(url);
    expect(response.statusCode).toBe(400);
    expect(response.json().errors).toEqual([expect.objectContaining({ in: part, pointer })]);
  });
});

test.each([
  ['a route that does not exist', 'GET', '/api/nothing', {}, '', 404, 'ROUTE_NOT_FOUND'],
  ['a method that a route has not', 'DELETE', '/api/jobs', {}, '', 404, 'ROUTE_NOT_FOUND'],
  ['a path that cannot be decoded', 'GET', '/api/jobs/%zz', {}, '', 404, 'ROUTE_NOT_FOUND'],
  ['broken JSON', 'POST', '/api/backups', 'application/json', '{"database":', 400, 'BODY_UNREADABLE'],
  [
    'a poisoned prototype',
    'POST',
    '/api/backups',
    'application/json',
    '{"__proto__":{}}',
    400,
    'BODY_UNREADABLE',
  ],
  ['an unknown media type', 'POST', '/api/backups', 'text/plain', 'orders', 400, 'BODY_UNREADABLE'],
  [
    'a body that is too large',
    'POST',
    '/api/backups',
    'application/json',
    ' '.repeat(1_100_000),
    413,
    'BODY_TOO_LARGE',
  ],
] as const)(
  "Fastify's own errors are problems too: %s",
  async (_name, method, url, type, payload, status, code) => {
    const response = await api.app.inject({
      method,
      url,
      headers: {
        authorization: 'Bearer test-token-admin',
        ...(typeof type === 'string' ? { 'content-type': type } : {}),
      },
      ...(payload === '' ? {} : { payload }),
    });
    expect(response.json()).toMatchObject({ status, code });
    expect(response.statusCode).toBe(status);
    expect(response.headers['content-type']).toContain('application/problem+json');
  },
);

test('what nobody foresaw is told without its reason, which is in the log', async () => {
  const id = newId();
  await api.deps.control.prisma.job.create({
    data: {
      id,
      kind: 'x',
      queue: 'signals',
      state: 'failed',
      payload: {},
      requestedBy: 'x',
      error: { no: 'record' },
    },
  });
  const response = await api.get(`/api/jobs/${id}`);
  expect(response.json()).toMatchObject({ status: 500, code: 'INTERNAL', details: {} });
  expect(response.body).not.toMatch(/invalid_|Zod|\.ts/);
  expect(api.logged()).toContain('request failed inside');
  await api.deps.control.prisma.job.delete({ where: { id } });
});

test.each(['not-a-cursor', Buffer.from('orders').toString('base64url'), 'AAAA'])(
  'cursor %s',
  async (cursor) => {
    for (const list of ['jobs', 'deployments', 'backups', 'recoveries', 'health-checks', 'plans', 'alerts'])
      expect((await api.get(`/api/${list}?cursor=${cursor}`)).json(), list).toMatchObject({
        status: 400,
        code: 'INVALID_CURSOR',
      });
  },
);
