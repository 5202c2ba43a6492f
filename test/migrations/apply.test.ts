import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase } from '../support/postgres.ts';
import { deploy, hasJournal, historyOf, rowsOf, tablesOf } from './deploy.ts';

let url: string;
let drop: () => Promise<void>;

beforeEach(async () => {
  ({ url, drop } = await createDatabase());
});
afterEach(() => drop());

const applied = (name: string) => ({ name, finished: true, rolledBack: false, logs: null, steps: 1 });
const rolledBack = (name: string) => ({
  name,
  finished: false,
  rolledBack: true,
  logs: expect.any(String),
  steps: 0,
});

test('pending migrations are applied in order, once, and leave nothing of ours', async () => {
  const files = {
    '1_a': 'create table a (id int); insert into a values (1)',
    '2_b': 'alter table a add b text',
  };
  const first = await deploy(url, files);
  expect(first.map(({ name, segments, tries }) => [name, segments, tries])).toEqual([
    ['1_a', 1, 1],
    ['2_b', 1, 1],
  ]);
  expect(await deploy(url, files)).toEqual([]);
  expect(await historyOf(url)).toEqual([applied('1_a'), applied('2_b')]);
  expect(await rowsOf(url, 'select * from a')).toEqual([{ id: 1, b: null }]);
  expect(await hasJournal(url)).toBe(false);
});

test.each<[string, string | Buffer]>([
  ['an empty file', ''],
  ['comments alone', '-- nothing to do\n'],
  ['a byte order mark and CRLF', '\uFEFFcreate table a (\r\n id int\r\n);\r\n'],
  ['semicolons alone', ';;\n;'],
])('%s is applied', async (_, sql) => {
  await deploy(url, { '1_a': sql });
  expect(await historyOf(url)).toEqual([applied('1_a')]);
});

test("the schema is the URL's, and is made when it is missing", async () => {
  await deploy(`${url}?schema=Shop`, { '1_a': 'create table a ()' });
  expect(await rowsOf(url, 'select migration_name from "Shop"._prisma_migrations')).toHaveLength(1);
  expect(
    await rowsOf(url, `select 1 from pg_tables where schemaname = 'Shop' and tablename = 'a'`),
  ).toHaveLength(1);
});

test('a failing migration leaves nothing behind, and says where and why', async () => {
  const broken =
    "create table b (id int);\n-- 😀 é\n  insert into b select '😀', nowhere from b;\ncreate table c ()";
  await expect(deploy(url, { '1_a': 'create table a ()', '2_b': broken })).rejects.toMatchObject({
    code: 'STATEMENT_FAILED',
    message: expect.stringMatching(/2_b, line 3, column 29: .*nowhere.*42703.*nothing of it is left/),
    details: { migration: '2_b', sqlstate: '42703', line: 3, column: 29 },
  });
  expect(await tablesOf(url)).toEqual(['a']);
  expect(await historyOf(url)).toEqual([applied('1_a'), rolledBack('2_b')]);
  await deploy(url, { '1_a': 'create table a ()', '2_b': 'create table b ()' });
  expect(await tablesOf(url)).toEqual(['a', 'b']);
});

test("a failure without a position points at the statement; the server's hint is passed on", async () => {
  const sql = 'create table a (id int primary key);\ninsert into a values (1);\ninsert into a\nvalues (1)';
  await expect(deploy(url, { '1_a': sql })).rejects.toMatchObject({
    details: { sqlstate: '23505', line: 3, column: 1, statement: 3 },
  });
  await expect(
    deploy(url, { '1_a': 'create function f() returns int language sql as $$select 1$$;\nselect f(1)' }),
  ).rejects.toMatchObject({
    details: { sqlstate: '42883', line: 2, column: 8, hint: expect.stringContaining('No function matches') },
  });
});

test('a constraint that is only checked at the end fails the migration', async () => {
  const sql = `create table a (id int unique deferrable initially deferred); insert into a values (1), (1)`;
  await expect(deploy(url, { '1_a': sql })).rejects.toMatchObject({ details: { sqlstate: '23505' } });
  expect(await tablesOf(url)).toEqual([]);
  expect(await historyOf(url)).toEqual([rolledBack('1_a')]);
});

describe('what PostgreSQL does not take in one transaction', () => {
  test('CONCURRENTLY runs between two transactions', async () => {
    const sql = `create table a (id int);
      create index concurrently a_id on a (id);
      alter table a add b int;
      drop index concurrently a_id;
      vacuum a;`;
    const [outcome] = await deploy(url, { '1_a': sql });
    expect(outcome?.segments).toBe(5);
    expect(await historyOf(url)).toEqual([applied('1_a')]);
    expect(await hasJournal(url)).toBe(true);
    expect(await rowsOf(url, 'select 1 from switchback.step where finished_at is null')).toEqual([]);
  });

  test('CONCURRENTLY alone in its file', async () => {
    await deploy(url, {
      '1_a': 'create table a (id int)',
      '2_b': 'create index concurrently a_id on a (id)',
    });
    expect(await rowsOf(url, "select indisvalid from pg_index where indexrelid = 'a_id'::regclass")).toEqual([
      { indisvalid: true },
    ]);
  });

  test.each<[string, string]>([
    ['a label and its use', "alter type e add value 'new'; insert into t values ('new')"],
    [
      'a label whose use only shows when it runs (55P04)',
      "alter type e add value 'new'; insert into t values (('n' || 'ew')::e)",
    ],
    [
      'pending trigger events (55006)',
      'insert into p values (2); insert into c values (2); alter table c add x int; select x from c',
    ],
    [
      'a COMMIT inside of DO (2D000)',
      "insert into t values ('old'); do $$ begin insert into t values ('old'); commit; end $$; select 1",
    ],
    [
      'its own transactions',
      "begin; insert into t values ('old'); commit; insert into t values ('old'); start transaction isolation level serializable; select 1; end",
    ],
    [
      'a label inside of its own transactions',
      "begin; alter type e add value 'new'; commit; insert into t values ('new')",
    ],
    [
      'its own rollback',
      "insert into t values ('old'); begin; insert into t values ('old'); drop table t; rollback; select * from t",
    ],
    ['a word that only later majors reserve', 'create table last (system_user int)'],
  ])('%s', async (_, sql) => {
    const before = `create type e as enum ('old'); create table t (v e); create table p (id int primary key);
      create table c (id int references p deferrable initially deferred)`;
    await deploy(url, { '1_before': before, '2_it': sql });
    expect(await historyOf(url)).toEqual([applied('1_before'), applied('2_it')]);
  });
});

describe("a file's settings hold to its end and no further", () => {
  const seen =
    "insert into seen select current_setting('search_path'), current_setting('lock_timeout'), current_user";
  const tables = 'create schema other; create table seen (path text, timeout text, role text)';

  test('also across segments and a role that may write nothing', async () => {
    const role = `switchback_test_${Date.now()}`;
    await rowsOf(url, `create role ${role}`);
    try {
      await deploy(url, {
        '1_a': `${tables}; grant insert on seen to ${role}`,
        '2_b': `set search_path = other, public; set lock_timeout = '7s'; ${seen}; vacuum; ${seen}; set role ${role}; ${seen};
                select 1; vacuum (analyze) public.seen; ${seen}`,
        '3_c': seen,
      });
      const [{ owner } = { owner: '' }] = await rowsOf<{ owner: string }>(
        url,
        'select current_user as owner',
      );
      const strange = { path: 'other, public', timeout: '7s' };
      expect(await rowsOf(url, 'select * from seen')).toEqual([
        { ...strange, role: owner },
        { ...strange, role: owner },
        { ...strange, role },
        { ...strange, role },
        { path: 'public', timeout: expect.not.stringContaining('7s'), role: owner },
      ]);
      expect(await historyOf(url)).toEqual(['1_a', '2_b', '3_c'].map(applied));
    } finally {
      await rowsOf(url, `drop owned by ${role}; drop role ${role}`);
    }
  });

  test('SET LOCAL ends with its transaction', async () => {
    await deploy(url, {
      '1_a': tables,
      '2_b': `set local search_path = other, public; ${seen}; vacuum; ${seen}`,
    });
    expect(await rowsOf(url, 'select path from seen')).toEqual([
      { path: 'other, public' },
      { path: 'public' },
    ]);
  });
});

describe('half applied', () => {
  const before = { '1_a': 'create table a (id int); insert into a values (1), (1)' };
  const half =
    'alter table a add b int;\ncreate unique index concurrently a_id on a (id);\nalter table a add c int;';

  test('it is said what is in the database and what is not; the invalid index is gone', async () => {
    await expect(deploy(url, { ...before, '2_b': half })).rejects.toMatchObject({
      code: 'MIGRATION_HALF_APPLIED',
      details: { migration: '2_b', sqlstate: '23505', line: 2, applied: [1], notApplied: [2, 3] },
    });
    expect(await historyOf(url)).toEqual([
      applied('1_a'),
      { name: '2_b', finished: false, rolledBack: false, logs: expect.stringContaining('a_id'), steps: 0 },
    ]);
    expect(await rowsOf(url, 'select 1 from pg_index where not indisvalid')).toEqual([]);
    await expect(deploy(url, { ...before, '2_b': half })).rejects.toMatchObject({
      code: 'MIGRATION_FAILED_BEFORE',
    });
  });

  test('nothing was done yet: then it is rolled back whole', async () => {
    const sql =
      "set lock_timeout = '5s'; create unique index concurrently a_id on a (id); alter table a add c int";
    await expect(deploy(url, { ...before, '2_b': sql })).rejects.toMatchObject({ code: 'STATEMENT_FAILED' });
    expect(await historyOf(url)).toEqual([applied('1_a'), rolledBack('2_b')]);
    expect(await rowsOf(url, 'select 1 from pg_index where not indisvalid')).toEqual([]);
    await deploy(url, { ...before, '2_b': 'create index concurrently a_id on a (id)' });
  });
});
