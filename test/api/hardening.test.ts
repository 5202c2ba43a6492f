import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bearer, startApi, type TestApi } from './harness.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ http: { rateLimitPerMinute: 20 } });
});
afterAll(() => api.close());

describe('the rate limit', () => {
  test('is one of a token, or of an address without one', async () => {
    for (let count = 0; count < 20; count += 1)
      expect((await api.get('/api/jobs', 'approver')).statusCode).toBe(200);
    const limited = await api.get('/api/jobs', 'approver');
    expect(limited.json()).toMatchObject({ status: 429, code: 'RATE_LIMITED' });
    expect(limited.headers['content-type']).toContain('application/problem+json');
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0);
    expect((await api.get('/api/jobs', 'admin')).statusCode).toBe(200);
  });

  test('counts the guessing of tokens against the address, and leaves probes alone', async () => {
    const guess = () => api.app.inject({ url: '/api/jobs', headers: { authorization: 'Bearer guess' } });
    for (let count = 0; count < 20; count += 1) expect((await guess()).statusCode).toBe(401);
    expect((await guess()).statusCode).toBe(429);
    for (let count = 0; count < 30; count += 1)
      expect((await api.app.inject({ url: '/api/health/live' })).statusCode).toBe(200);
  });
});

test('every answer has security headers and the id of its request, and names no software', async () => {
  for (const response of [await api.get('/api/databases'), await api.app.inject({ url: '/api/nothing' })]) {
    expect(response.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': expect.any(String),
      'referrer-policy': 'no-referrer',
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(response.headers['content-security-policy']).toContain("default-src 'none'");
    expect(Object.keys(response.headers)).not.toContain('x-powered-by');
    expect(Object.keys(response.headers)).not.toContain('server');
  }
});

test('the documentation is for readers, and loads nothing from elsewhere', async () => {
  const page = await api.get('/docs/');
  expect(page.statusCode).toBe(200);
  expect(page.headers['content-security-policy']).toContain("'self'");
  expect(page.body).not.toMatch(/(src|href)="https?:/);
  expect((await api.get('/openapi.json')).json()).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'Switchback' },
  });
});

test('metrics tell of jobs, requests and the process', async () => {
  await api.post('/api/backups', { database: 'orders' });
  const { body, headers } = await api.get('/metrics');
  expect(headers['content-type']).toContain('text/plain');
  expect(body).toMatch(/switchback_jobs\{kind="backup",state="queued"\} 1/);
  expect(body).toMatch(
    /switchback_http_request_duration_seconds_count\{method="POST",route="\/api\/backups",status="202"\} 1/,
  );
  expect(body).toContain('process_resident_memory_bytes');
});

test('a line is logged for each request; no token, and no line for probes above debug', async () => {
  await api.get('/api/databases?limit=1');
  const lines = api
    .logged()
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Record<string, unknown> => JSON.parse(line));
  expect(lines.filter((line) => line.path === '/api/databases').at(-1)).toMatchObject({
    method: 'GET',
    route: '/api/databases',
    status: 200,
    token: 'reader',
    level: 30,
  });
  for (const line of lines.filter((one) => one.path === '/api/health/live')) expect(line.level).toBe(20);
  expect(api.logged()).not.toContain(bearer('reader').authorization);
  expect(api.logged()).not.toContain('test-token');
  api.app.log.info({ headers: bearer('reader'), req: { headers: bearer('admin') } }, 'by mistake');
  expect(api.logged()).not.toContain('test-token');
});
