import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bearer, registered, startApi, type TestApi, type TokenName } from './harness.ts';

let api: TestApi;
beforeAll(async () => {
  const policy = { bundles: 'upload', backup: { never: 'a test database' } };
  api = await startApi({
    http: { maxBundleBytes: 20_000 },
    databases: [registered('orders', { policy }), registered('billing')],
  });
});
afterAll(() => api.close());

const lock = { 'migration_lock.toml': 'provider = "postgresql"\n' };
const first = { '20260101_first/migration.sql': 'create table first ();' };

async function archive(
  files: Readonly<Record<string, string>>,
  type: 'file' | 'symlink' = 'file',
): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(files))
    if (type === 'symlink' && name.endsWith('.sql')) tar.entry({ name, type, linkname: '/etc/passwd' });
    else tar.entry({ name }, content);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

const upload = (payload: Buffer, as: TokenName = 'operator', type = 'application/gzip') =>
  api.app.inject({
    method: 'POST',
    url: '/api/bundles',
    headers: { ...bearer(as), 'content-type': type },
    payload,
  });

test('a bundle is known by its content: uploaded twice it is there once', async () => {
  const one = await upload(await archive({ ...lock, ...first }));
  expect(one.statusCode).toBe(201);
  const bundle = one.json();
  expect(bundle).toMatchObject({
    id: expect.stringMatching(/^[0-9a-f]{64}$/),
    migrations: 1,
    createdBy: 'operator',
  });
  expect(one.headers.location).toBe(`/api/bundles/${bundle.id}`);
  const again = await upload(await archive({ ...first, ...lock }), 'admin');
  expect([again.statusCode, again.json()]).toEqual([200, bundle]);
  expect((await api.get(`/api/bundles/${bundle.id}`)).json()).toEqual(bundle);
});

test.each<[string, () => Promise<Buffer> | Buffer, number, string]>([
  ['no archive', () => Buffer.from('no archive'), 400, 'BUNDLE_INVALID'],
  ['nothing', () => Buffer.alloc(0), 400, 'BUNDLE_INVALID'],
  [
    'a data migration that is none',
    () => archive({ ...lock, ...first, '20260101_first/data-migrations/x.json': '{"kind": "nothing"}' }),
    422,
    'MIGRATION_FILE_INVALID',
  ],
  ['a path that leads out', () => archive({ ...lock, '../evil/migration.sql': '' }), 400, 'BUNDLE_INVALID'],
  ['an absolute path', () => archive({ ...lock, '/etc/cron.d/x': '' }), 400, 'BUNDLE_INVALID'],
  ['a link', () => archive({ ...lock, ...first }, 'symlink'), 400, 'BUNDLE_INVALID'],
  ['no lock file', () => archive(first), 422, 'MIGRATION_LOCK_MISSING'],
  [
    'another provider',
    () => archive({ 'migration_lock.toml': 'provider = "mysql"', ...first }),
    422,
    'MIGRATION_PROVIDER_UNSUPPORTED',
  ],
  ['a body that is too large', () => Buffer.alloc(20_001), 413, 'BODY_TOO_LARGE'],
])('%s is refused', async (_name, make, status, code) => {
  const response = await upload(await make());
  expect(response.json()).toMatchObject({ status, code });
});

test('a bomb is refused before it is unpacked', async () => {
  const bomb = await archive({ ...lock, '20260101_bomb/migration.sql': ' '.repeat(300_000_000) });
  const other = await startApi({
    databases: [
      registered('orders', { policy: { bundles: 'upload', backup: { never: 'a test database' } } }),
    ],
  });
  const response = await other.app.inject({
    method: 'POST',
    url: '/api/bundles',
    headers: { ...bearer('operator'), 'content-type': 'application/gzip' },
    payload: bomb,
  });
  expect(response.json()).toMatchObject({ status: 413, code: 'BUNDLE_TOO_LARGE' });
  await other.close();
});

test('another media type, and a token without a database for uploads, are refused', async () => {
  const good = await archive({ ...lock, ...first });
  expect((await upload(good, 'operator', 'application/octet-stream')).json().code).toBe('BODY_UNREADABLE');
  expect((await upload(Buffer.from('{}'), 'operator', 'application/json')).json().code).toBe(
    'VALIDATION_FAILED',
  );
  expect((await upload(good, 'billing')).json()).toMatchObject({
    status: 403,
    code: 'BUNDLE_UPLOAD_FORBIDDEN',
  });
  expect((await upload(good, 'reader')).json()).toMatchObject({ status: 403, code: 'SCOPE_MISSING' });
});

test('a bundle that is not there', async () => {
  expect((await api.get(`/api/bundles/${'0'.repeat(64)}`)).json().code).toBe('BUNDLE_NOT_FOUND');
});
