import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bearer, startApi, type TestApi } from './harness.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ http: { rateLimitPerMinute: 1_000_000 } });
});
afterAll(() => api.close());

const id = '019386ac-0000-7000-8000-000000000000';
/** Bodies that are right but for the mutation. */
const bodies: readonly [url: string, body: Record<string, unknown>][] = [
  [
    '/api/deployments',
    {
      database: 'orders',
      bundle: 'a'.repeat(64),
      plan: id,
      mode: 'auto',
      allow: [{ code: 'MIGRATION_MISSING', migration: 'x', reason: 'squashed last week' }],
    },
  ],
  ['/api/plans', { database: 'orders', bundle: 'a'.repeat(64), mode: 'atomic', allow: [] }],
  ['/api/backups', { database: 'billing' }],
  ['/api/recoveries', { database: 'orders', action: 'baseline', upTo: 'x' }],
  [
    '/api/recoveries',
    { database: 'orders', action: 'resolveApplied', migration: 'x', bundle: 'a'.repeat(64) },
  ],
  [
    '/api/data-migrations',
    {
      ...{ database: 'orders', flag: 'a', dryRun: false },
      spec: {
        name: 'a',
        kind: 'copy',
        table: 'a',
        to: { database: 'billing', table: 'b' },
        columns: { a: 'b' },
      },
    },
  ],
  ['/api/health-checks', {}],
  ['/api/alerts/test', {}],
  ['/api/bundles', {}],
  [
    '/api/analyses',
    { sql: 'DROP TABLE a;', name: 'a', database: 'orders', notices: true, previousSchema: 'x' },
  ],
  ['/ofrep/v1/evaluate/flags', { context: { targetingKey: 'a', database: 'orders' } }],
  ['/ofrep/v1/evaluate/flags/a', { context: { targetingKey: 'a', database: 'orders' } }],
  ['/api/analyses', { migrations: [{ name: 'a', sql: 'SELECT 1;' }], only: ['a'], notices: false }],
];

const hostile = fc.constantFrom<unknown>(
  null,
  '',
  '\u0000',
  '\ud800',
  "'; drop table job; --",
  '../../etc/passwd',
  'x'.repeat(300),
  Number.MAX_SAFE_INTEGER,
  -1,
  1e308,
  [],
  {},
  true,
  id,
  'orders',
);
/** Texts that JSON can carry and PostgreSQL cannot keep, at any length that a schema may ask for. */
const unstorable = fc
  .tuple(fc.constantFrom('', 'a', 'long enough for a reason '), fc.constantFrom('\u0000', '\ud800'))
  .map((parts) => parts.join(''));
const value = fc.oneof(hostile, unstorable, fc.jsonValue());

/** One right body with a field replaced, removed or added, or something else altogether. */
const mutation = fc.constantFrom(...bodies).chain(([url, body]) => {
  const keys = Object.keys(body);
  const field = keys.length > 0 ? fc.constantFrom(...keys) : fc.string();
  const mutated = fc.oneof(
    fc.tuple(field, value).map(([key, replacement]): unknown => ({ ...body, [key]: replacement })),
    unstorable.map((reason): unknown => ({ ...body, allow: [{ code: 'MIGRATION_MISSING', reason }] })),
    field.map((key): unknown => Object.fromEntries(Object.entries(body).filter(([name]) => name !== key))),
    fc.tuple(fc.string(), value).map(([key, extra]): unknown => ({ ...body, [key]: extra })),
    value,
  );
  return fc.record({ url: fc.constant(url), body: mutated });
});

/** Nothing listens where the databases of these tests are said to be: a request that gets so far is told so. */
const unreachable = ['DATABASE_UNREACHABLE'];
const answers = { 200: true, 201: true, 202: true, 400: true, 403: true, 404: true, 409: true, 422: true };

test('no body is more than refused', async () => {
  await fc.assert(
    fc.asyncProperty(mutation, async ({ url, body }) => {
      const response = await api.app.inject({
        method: 'POST',
        url,
        headers: { ...bearer('admin'), 'content-type': 'application/json' },
        payload: JSON.stringify(body),
      });
      const told = `${url} ${JSON.stringify(body)}: ${response.statusCode} ${response.body}`;
      if (response.statusCode === 503) expect(unreachable, told).toContain(response.json().code);
      else expect(Object.keys(answers), told).toContain(String(response.statusCode));
      if (response.statusCode === 202) await api.post(`${response.headers.location}/cancel`);
    }),
    { numRuns: 400 },
  );
});

test('no path, query or header is more than refused', async () => {
  const piece = fc.oneof(
    fc.constantFrom('jobs', 'databases', 'orders', id, 'events', 'result', 'migrations'),
    fc.string(),
  );
  const pieces = fc
    .array(piece, { maxLength: 4 })
    .map((texts) => texts.map((text) => encodeURI(toWellFormed(text))));
  const lists = fc.constantFrom<string[]>(
    ['jobs'],
    ['databases'],
    ['backups'],
    ['alerts'],
    ['databases', '%00'],
  );
  const path = fc.oneof(pieces, lists);
  const query = fc.dictionary(
    fc.constantFrom('limit', 'cursor', 'state', 'database', 'wait', 'x'),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(path, query, async (pieces, parameters) => {
      if (pieces.includes('events') || pieces.includes('result')) delete parameters.wait;
      const text = Object.entries(parameters).map(
        ([key, item]) => `${key}=${encodeURIComponent(toWellFormed(item))}`,
      );
      const response = await api.get(`/api/${pieces.join('/')}?${text.join('&')}`, 'admin');
      const told = `${pieces.join('/')} ${text.join('&')}: ${response.body}`;
      if (response.statusCode === 503) expect(unreachable, told).toContain(response.json().code);
      else expect(response.statusCode, told).toBeLessThan(500);
    }),
    { numRuns: 400 },
  );
});

/** Lone surrogates cannot be encoded. */
const toWellFormed = (text: string): string => Buffer.from(text).toString();
