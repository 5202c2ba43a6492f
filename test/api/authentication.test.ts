import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bearer, startApi, type TestApi, type TokenName } from './harness.ts';

interface Operation {
  readonly security?: readonly object[];
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

/** Every route of the application, with values in its path. */
function routes(): { method: 'GET' | 'POST'; url: string; isPublic: boolean }[] {
  const { paths } = api.app.swagger() as Document;
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase() as 'GET' | 'POST',
      url: path.replace('{name}', 'orders').replace(/\{\w+\}/g, '019386ac-0000-7000-8000-000000000000'),
      isPublic: operation.security?.some((way) => Object.keys(way).length === 0) === true,
    })),
  );
}

const ask = async (method: 'GET' | 'POST', url: string, authorization?: string) => {
  const response = await api.app.inject({ method, url, headers: authorization ? { authorization } : {} });
  return { status: response.statusCode, body: response.body, headers: response.headers };
};

/** What is wrong, by its code; OFREP has a form of its own for errors, in which there is none. */
const codeIn = (url: string, body: string, expected: string): unknown =>
  url.startsWith('/ofrep/') && 'errorDetails' in JSON.parse(body) ? expected : JSON.parse(body).code;

describe('every route', () => {
  test('is closed to callers without a token, but for the probes', async () => {
    for (const { method, url, isPublic } of routes()) {
      const { status, body } = await ask(method, url);
      if (isPublic) expect([200, 503], url).toContain(status);
      else expect([status, codeIn(url, body, 'TOKEN_MISSING')], url).toEqual([401, 'TOKEN_MISSING']);
    }
    expect(routes().filter((route) => route.isPublic).length).toBe(3);
    expect(routes().length).toBeGreaterThan(28);
  });

  test.each([
    ['a wrong token', 'Bearer wrong', 'TOKEN_INVALID'],
    ['another scheme', 'Basic dGVzdA==', 'TOKEN_INVALID'],
    ['an empty token', 'Bearer ', 'TOKEN_INVALID'],
    ['an expired token', bearer('expired').authorization, 'TOKEN_EXPIRED'],
  ])('refuses %s', async (_name, authorization, code) => {
    for (const { method, url } of routes()) {
      const { status, body, headers } = await ask(method, url, authorization);
      expect([status, codeIn(url, body, code)], url).toEqual([401, code]);
      expect(headers['www-authenticate']).toContain('Bearer');
    }
  });

  test('that changes something is closed to a token that only reads', async () => {
    // An analysis and a flag's value are asked for with a body, and change nothing.
    const changing = routes().filter(
      ({ method, url }) => method === 'POST' && url !== '/api/analyses' && !url.startsWith('/ofrep/'),
    );
    expect(changing.length).toBeGreaterThanOrEqual(9);
    for (const { method, url } of changing) {
      const { status, body } = await ask(method, url, bearer('reader').authorization);
      expect([status, JSON.parse(body).code], url).toEqual([403, 'SCOPE_MISSING']);
    }
  });
});

test.each<[TokenName, boolean]>([
  ['operator', false],
  ['approver', true],
  ['admin', true],
  ['reader', false],
])('%s may allow what would stop a deployment: %s', async (name, may) => {
  const allow = [{ code: 'MIGRATION_MISSING', reason: 'squashed last week' }];
  const response = await api.post('/api/deployments', { database: 'orders', allow }, name);
  expect(response.statusCode).toBe(may ? 202 : 403);
  if (may) {
    const cancelled = await api.post(`${response.headers.location}/cancel`, undefined, name);
    expect(cancelled.statusCode).toBe(202);
  }
});

test('a route that does not exist tells nothing without a token', async () => {
  expect((await ask('GET', '/api/nothing')).status).toBe(401);
  expect((await ask('GET', '/docs')).status).toBe(401);
  expect((await ask('GET', '/docs/json')).status).toBe(401);
  expect((await ask('GET', '/docs/static/index.html')).status).toBe(401);
  expect((await ask('GET', '/api/nothing', bearer('reader').authorization)).status).toBe(404);
});

test('the check comes before the body is read', async () => {
  const response = await api.app.inject({
    method: 'POST',
    url: '/api/deployments',
    headers: { 'content-type': 'application/json' },
    payload: '{ no JSON',
  });
  expect(response.statusCode).toBe(401);
});

test('a token for some databases learns nothing of the others', async () => {
  for (const url of [
    '/api/databases/orders',
    '/api/databases/orders/migrations',
    '/api/databases/unheard-of',
  ])
    expect((await api.get(url, 'billing')).json()).toMatchObject({ status: 403, code: 'DATABASE_FORBIDDEN' });
  for (const resource of ['deployments', 'backups', 'plans'])
    expect((await api.post(`/api/${resource}`, { database: 'orders' }, 'billing')).statusCode).toBe(403);
  expect((await api.post('/api/health-checks', {}, 'billing')).statusCode).toBe(403);

  const created = await api.post('/api/backups', { database: 'orders' });
  expect(created.statusCode).toBe(202);
  const { id, job } = created.json();
  for (const url of [
    `/api/backups/${id}`,
    `/api/jobs/${job.id}`,
    `/api/jobs/${job.id}/events`,
    `/api/jobs/${job.id}/result`,
  ])
    expect((await api.get(url, 'billing')).statusCode, url).toBe(404);
  expect((await api.post(`/api/jobs/${job.id}/cancel`, undefined, 'billing')).statusCode).toBe(404);
  const check = await api.post('/api/health-checks', {});
  expect((await api.get(check.headers.location as string, 'billing')).statusCode).toBe(404);
  expect((await api.get(`/api/health-checks/${check.json().id}`, 'billing')).statusCode).toBe(404);
  for (const list of ['backups', 'jobs', 'deployments', 'health-checks', 'alerts', 'plans'])
    expect((await api.get(`/api/${list}?limit=100`, 'billing')).json().items, list).toEqual([]);
  const { items } = (await api.get('/api/databases', 'billing')).json();
  expect(items.map((item: { name: string }) => item.name)).toEqual(['billing']);
});
