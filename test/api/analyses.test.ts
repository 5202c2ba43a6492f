import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rowsOf } from '../migrations/deploy.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { bearer, registered, startApi, type TestApi, type TokenName } from './harness.ts';

let api: TestApi;
let target: TestDatabase;
beforeAll(async () => {
  target = await createDatabase();
  await rowsOf(
    target.url,
    `create table orders (id int primary key, note text, total int);
     insert into orders select i, 'note', i from generate_series(1, 200) i;
     create table giant (id int primary key, note text);
     analyze`,
  );
  // As the statistics of 200 million rows are, without the rows.
  await rowsOf(target.url, "update pg_class set reltuples = 2e8, relpages = 2e6 where relname = 'giant'");
  const policy = {
    bundles: 'upload',
    backup: { never: 'a test database' },
    analysis: { rules: { 'drop-column': 'notice' } },
  };
  api = await startApi({
    databases: [
      registered('orders', { url: target.url, policy }),
      registered('billing'),
      registered('lost', { previousSchema: '/nowhere/schema.prisma', url: target.url }),
    ],
  });
});
afterAll(async () => {
  await api.close();
  await target.drop();
});

const analyse = (body: unknown, query = '', as: TokenName = 'reader', headers: Record<string, string> = {}) =>
  api.post(`/api/analyses${query}`, body, as, headers);
const reportOf = async (body: unknown) => {
  const answer = await analyse(body);
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json();
};
const rulesOf = (report: { migrations: { violations: { rule: string }[] }[] }): string[] =>
  report.migrations.flatMap(({ violations }) => violations.map(({ rule }) => rule));

describe('a text', () => {
  test('is judged by itself: what it does not create exists', async () => {
    const report = await reportOf({
      sql: 'ALTER TABLE users DROP COLUMN name;',
      name: '20260101000000_drop',
    });
    expect(report).toMatchObject({
      verdict: expect.stringMatching(/caution|dangerous/),
      migrations: [
        {
          name: '20260101000000_drop',
          violations: [{ rule: 'drop-column', table: 'public.users', line: 1, effect: 'dataLoss' }],
          statements: [{ locks: [{ table: 'public.users', mode: 'ACCESS EXCLUSIVE' }] }],
        },
      ],
      basis: { facts: false, previousSchema: false },
    });
    expect(rulesOf(await reportOf({ sql: 'DROP TABLE IF EXISTS users;' }))).toContain('drop-table');
  });

  test('with the schema of the release that still runs', async () => {
    const previousSchema = 'model User {\n  id Int @id\n  name String\n  @@map("users")\n}\n';
    const report = await reportOf({ sql: 'ALTER TABLE users DROP COLUMN name;', previousSchema });
    expect(report).toMatchObject({ verdict: 'dangerous', basis: { previousSchema: true } });
    expect((await analyse({ sql: 'SELECT 1;', previousSchema: 'nothing' })).json()).toMatchObject({
      status: 422,
      code: 'PREVIOUS_SCHEMA_UNREADABLE',
    });
  });

  test('of nothing but opinions tells them when asked', async () => {
    const sql = 'CREATE TABLE t (id serial PRIMARY KEY, made timestamp);';
    expect(rulesOf(await reportOf({ sql }))).toEqual([]);
    expect(rulesOf(await reportOf({ sql, notices: true })).length).toBeGreaterThan(0);
  });
});

describe('the form of the report', () => {
  const body = { sql: 'DROP TABLE users;', name: '1_a' };
  test.each([
    ['?format=markdown', {}, 'text/markdown; charset=utf-8', /^## Migrations: dangerous/],
    ['?format=json', { accept: 'text/markdown' }, 'application/json; charset=utf-8', /^\{"verdict"/],
    ['?format=sarif&directory=db', {}, 'application/sarif+json; charset=utf-8', /"db\/1_a\/migration\.sql"/],
    [
      '',
      { accept: 'application/sarif+json' },
      'application/sarif+json; charset=utf-8',
      /"prisma\/migrations/,
    ],
    [
      '',
      { accept: 'text/html, text/markdown;q=0.8, application/json;q=0.9' },
      'application/json; charset=utf-8',
      /^\{/,
    ],
    ['', { accept: 'text/html' }, 'application/json; charset=utf-8', /^\{/],
    ['', { accept: '*/*' }, 'application/json; charset=utf-8', /^\{/],
  ])('%s %o', async (query, headers, type, text) => {
    const answer = await analyse(body, query, 'reader', headers as Record<string, string>);
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, type]);
    expect(answer.body).toMatch(text);
  });

  test('comes again with the same Idempotency-Key, and another query is another request', async () => {
    const headers = { 'idempotency-key': 'analysis-1' };
    const first = await analyse(body, '?format=markdown', 'reader', headers);
    const again = await analyse(body, '?format=markdown', 'reader', headers);
    expect([again.body, again.headers['content-type'], again.headers['idempotency-replayed']]).toEqual([
      first.body,
      first.headers['content-type'],
      'true',
    ]);
    expect((await analyse(body, '?format=sarif', 'reader', headers)).json().code).toBe(
      'IDEMPOTENCY_KEY_REUSED',
    );
  });
});

describe('migrations', () => {
  const migrations = [
    { name: '20260102000000_drop', sql: 'DROP TABLE a;' },
    { name: '20260101000000_make', sql: 'CREATE TABLE a (id int PRIMARY KEY);' },
  ];

  test('are followed in the order of their names', async () => {
    const report = await reportOf({ migrations });
    expect(report.migrations.map(({ name }: { name: string }) => name)).toEqual([
      '20260101000000_make',
      '20260102000000_drop',
    ]);
  });

  test('of which only some are judged', async () => {
    const report = await reportOf({ migrations, only: ['20260101000000_make'] });
    expect(report).toMatchObject({ verdict: 'safe', migrations: [{ name: '20260101000000_make' }] });
    expect(report.migrations).toHaveLength(1);
    expect((await analyse({ migrations, only: ['x'] })).json()).toMatchObject({
      status: 404,
      code: 'MIGRATION_NOT_FOUND',
      details: { migrations: ['x'] },
    });
  });

  test('with `only` are a whole folder: what it does not make is not there', async () => {
    const all = [...migrations, { name: '20260103000000_more', sql: 'DROP TABLE IF EXISTS never;' }];
    const only = ['20260103000000_more'];
    expect(await reportOf({ migrations: all, only })).toMatchObject({ verdict: 'safe' });
    expect(await reportOf({ migrations: all.slice(2) })).toMatchObject({ verdict: 'dangerous' });
  });
});

describe('a database', () => {
  const index = (table: string) => `CREATE INDEX "i" ON "${table}" ("note");`;

  test('whose figures are known sharpens the verdict', async () => {
    const small = await reportOf({ sql: index('orders'), database: 'orders' });
    expect(small).toMatchObject({ verdict: 'safe', basis: { facts: true } });
    expect(small.migrations[0].violations[0].message).toMatch(/200 rows/);
    const large = await reportOf({ sql: index('giant'), database: 'orders' });
    expect(large.verdict).not.toBe('safe');
    expect(large.migrations[0].violations[0].message).toMatch(/200,000,000 rows.*about \d+ min/);
    expect(await reportOf({ sql: index('orders') })).toMatchObject({ verdict: 'caution' });
  });

  test('has its own policy', async () => {
    const sql = 'ALTER TABLE orders DROP COLUMN total;';
    expect(rulesOf(await reportOf({ sql, database: 'orders' }))).not.toContain('drop-column');
    expect(rulesOf(await reportOf({ sql }))).toContain('drop-column');
  });

  test('is asked for what it does not have yet', async () => {
    const [name, sql] = ['20250101000000_applied', 'DROP TABLE orders;'];
    await rowsOf(
      target.url,
      `create table if not exists _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null,
         finished_at timestamptz, migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,
         started_at timestamptz not null default now(), applied_steps_count int not null default 0);
       insert into _prisma_migrations (id, checksum, finished_at, migration_name) values ('1', 'edited', now(), '${name}')`,
    );
    const migrations = [
      { name, sql },
      { name: '20260101000000_pending', sql: 'ALTER TABLE orders ADD COLUMN more int;' },
    ];
    const report = await reportOf({ migrations, database: 'orders' });
    expect(report).toMatchObject({ verdict: 'safe', migrations: [{ name: '20260101000000_pending' }] });
    expect((await analyse({ migrations, only: [name], database: 'orders' })).json()).toMatchObject({
      code: 'MIGRATION_NOT_FOUND',
      detail: expect.stringContaining('not pending in orders'),
    });
  });

  test.each<[string, string, TokenName, number, string]>([
    ['another token’s', 'orders', 'billing', 403, 'DATABASE_FORBIDDEN'],
    ['an unknown one', 'nowhere', 'reader', 404, 'DATABASE_UNKNOWN'],
    ['one that cannot be reached', 'billing', 'reader', 503, 'DATABASE_UNREACHABLE'],
    ['one whose previous schema is gone', 'lost', 'reader', 422, 'PREVIOUS_SCHEMA_UNREADABLE'],
  ])('%s', async (_name, database, as, status, code) => {
    expect((await analyse({ sql: 'SELECT 1;', database }, '', as)).json()).toMatchObject({ status, code });
  });
});

describe('a bundle', () => {
  test('is judged, files that are no text included', async () => {
    const tar = pack();
    tar.entry({ name: 'migration_lock.toml' }, 'provider = "postgresql"\n');
    tar.entry({ name: '20260101000000_a/migration.sql' }, 'CREATE TABLE a (id int PRIMARY KEY);');
    tar.entry({ name: '20260102000000_b/migration.sql' }, Buffer.from([0xff, 0xfe, 0x41]));
    tar.entry({ name: '20260103000000_c/migration.sql' }, Buffer.from('SELECT 1;\0'));
    tar.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of tar) chunks.push(chunk as Buffer);
    const uploaded = await api.app.inject({
      method: 'POST',
      url: '/api/bundles',
      headers: { ...bearer('operator'), 'content-type': 'application/gzip' },
      payload: gzipSync(Buffer.concat(chunks)),
    });
    const bundle = uploaded.json().id;
    const report = await reportOf({ bundle });
    expect(report.migrations.map(({ verdict }: { verdict: string }) => verdict)).toEqual([
      'safe',
      'dangerous',
      'dangerous',
    ]);
    expect(report.summary).toMatchObject({ migrations: 3, provider: 'postgresql' });
    expect(await reportOf({ bundle, only: ['20260101000000_a'] })).toMatchObject({ verdict: 'safe' });
  });

  test('that nobody uploaded', async () => {
    const answer = await analyse({ bundle: '0'.repeat(64) });
    expect(answer.json()).toMatchObject({ status: 404, code: 'BUNDLE_NOT_FOUND' });
  });
});

describe('bad input', () => {
  const name = 'a';
  test.each<[string, unknown]>([
    ['nothing', {}],
    ['two subjects', { sql: '', bundle: '0'.repeat(64) }],
    ['an unknown field', { sql: '', verbose: true }],
    ['a NUL', { sql: 'SELECT \0' }],
    ['half of a surrogate pair', { sql: 'SELECT \ud800' }],
    ['a name without a text', { migrations: [{ name, sql: '' }], name }],
    ['only of one text', { sql: '', only: [name] }],
    [
      'the same name twice',
      {
        migrations: [
          { name, sql: '' },
          { name, sql: '' },
        ],
      },
    ],
    ['no migrations', { migrations: [] }],
    ['a migration without a name', { migrations: [{ name: '', sql: '' }] }],
    ['a text that is none', { sql: 42 }],
  ])('%s', async (_name, body) => {
    expect((await analyse(body)).json()).toMatchObject({ status: 400, code: 'VALIDATION_FAILED' });
  });

  test('an unknown format', async () => {
    expect((await analyse({ sql: '' }, '?format=pdf')).json().code).toBe('VALIDATION_FAILED');
  });

  test('psql’s own commands, and what is no SQL at all, are found and not fatal', async () => {
    const report = await reportOf({ sql: '\\connect other\nSELECT 1;\nnot sql at all;\nDROP TABLE users;' });
    expect(rulesOf(report)).toEqual(expect.arrayContaining(['unparsable-statement', 'drop-table']));
    expect(await reportOf({ sql: '' })).toMatchObject({ verdict: 'safe' });
  });

  test('more than 10 MB, by the texts and by the body', async () => {
    const line = 'SELECT 1;\n';
    const tooLarge = { status: 413, code: 'BODY_TOO_LARGE' };
    expect((await analyse({ sql: line.repeat(1_048_577) })).json()).toMatchObject(tooLarge);
    const half = line.repeat(530_000);
    const migrations = ['a', 'b'].map((one) => ({ name: one, sql: half }));
    expect((await analyse({ migrations })).json()).toMatchObject(tooLarge);
    expect((await analyse({ sql: line.repeat(3_000_000) })).json()).toMatchObject(tooLarge);
  });

  test('10 MB of rows are judged', async () => {
    const rows = Array.from({ length: 1_000 }, (_, row) => `(${row}, '${'x'.repeat(240)}')`).join(', ');
    const sql = `CREATE TABLE t (id int, text text);\n${`INSERT INTO t VALUES ${rows};\n`.repeat(40)}`;
    expect(Buffer.byteLength(sql)).toBeGreaterThan(9_900_000);
    expect((await reportOf({ sql })).migrations[0].statements).toHaveLength(41);
  });

  test('no token', async () => {
    const answer = await api.app.inject({ method: 'POST', url: '/api/analyses', payload: { sql: '' } });
    expect(answer.json()).toMatchObject({ status: 401, code: 'TOKEN_MISSING' });
  });
});
