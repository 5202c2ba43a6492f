/** What a file's own transactions, settings and self-committing statements leave behind, as PostgreSQL means them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { deploy, historyOf, openClient, rowsOf, tablesOf } from './deploy.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

/** What is there before the file that is looked at: a migration of its own, so that there is a history. */
let before: Record<string, string>;
beforeEach(() => {
  before = {};
});
const prepare = async (sql: string): Promise<void> => {
  before = { '0_before': sql };
  await deploy(database.url, before);
};
const run = (sql: string): Promise<unknown> =>
  withSession(parseTarget(database.url), { applicationName: 'test' }, (session) => session.query(sql));
const deployOne = (sql: string, options: Parameters<typeof deploy>[2] = {}) =>
  deploy(database.url, { ...before, '1_a': sql }, options);
const historyOfOne = async () => (await historyOf(database.url)).filter(({ name }) => name === '1_a');
const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: unknown) => error,
  );

/** Ends the backend that applies, once a statement runs. */
async function endBackendAt(statement: string, deploying: Promise<unknown>): Promise<void> {
  const settled = failure(deploying);
  await waitFor(
    async () =>
      (
        await rowsOf(
          database.url,
          `select pg_terminate_backend(pid) from pg_stat_activity where query like '%${statement}%' and state = 'active' and datname = current_database() and pid <> pg_backend_pid()`,
        )
      ).length > 0,
    { what: statement },
  );
  await settled;
}

describe('a statement that commits by itself', () => {
  beforeEach(() => prepare('create table t (id int primary key); create table l (id int)'));

  test('is not run again when it meets a lock: it waits', async () => {
    const other = await openClient(database.url);
    await other.query('begin; lock table l in access exclusive mode');
    const deploying = deployOne('do $$ begin insert into t values (1); commit; perform 1 from l; end $$;', {
      lockTimeoutMs: 200,
    });
    await waitFor(async () => (await rowsOf(database.url, 'select 1 from t')).length === 1, {
      what: 'the first part',
    });
    await waitFor(
      async () =>
        (
          await rowsOf(
            database.url,
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'do %'",
          )
        ).length === 1,
      { what: 'the wait' },
    );
    await other.query('commit');
    await other.close();
    await deploying;
    expect(await rowsOf(database.url, 'select id from t')).toEqual([{ id: 1 }]);
  });

  test('is called half applied when it fails, possibly in part', async () => {
    const error = await failure(
      deployOne(
        'insert into l values (1);\ndo $$ begin insert into t values (1); commit; perform 1/0; end $$;\ncreate table c ();',
      ),
    );
    expect(error).toMatchObject({
      code: 'MIGRATION_HALF_APPLIED',
      message: expect.stringMatching(
        /In the database: .* 1\. Possibly in part.* 2\. Not in it: .* 3\./,
      ) as string,
    });
    expect(await historyOfOne()).toMatchObject([{ finished: false, rolledBack: false }]);
    expect(await rowsOf(database.url, 'select id from t')).toEqual([{ id: 1 }]);
  });
});

describe("a file's own transactions", () => {
  test('go on where they are chained', async () => {
    await prepare('create table t (id int)');
    await deployOne(
      'begin; insert into t values (1); commit and chain; insert into t values (2); rollback; insert into t values (3);',
    );
    expect(await rowsOf(database.url, 'select id from t order by 1')).toEqual([{ id: 1 }, { id: 3 }]);
  });

  test.each([
    'begin isolation level serializable; create table b as select current_setting($$transaction_isolation$$) x; commit;',
    'start transaction isolation level serializable; create table b as select current_setting($$transaction_isolation$$) x; commit;',
    'begin; set transaction isolation level serializable; create table b as select current_setting($$transaction_isolation$$) x; commit;',
    'begin isolation level serializable; select 1; commit and chain; create table b as select current_setting($$transaction_isolation$$) x; commit;',
  ])('have the properties that it gives them: %s', async (sql) => {
    await deploy(database.url, { '0_set': "set application_name = 'x'", '1_a': sql });
    expect(await rowsOf(database.url, 'select x from b')).toEqual([{ x: 'serializable' }]);
  });

  test('leave nothing when it rolls them back, and are not counted as applied', async () => {
    const error = await failure(deployOne('begin;\ncreate table b (id int);\nrollback;\nselect 1/0;'));
    expect(error).toMatchObject({
      code: 'STATEMENT_FAILED',
      message: expect.stringContaining('nothing of it is left') as string,
    });
    expect(await historyOfOne()).toMatchObject([{ rolledBack: true }]);
    expect(await tablesOf(database.url)).toEqual([]);
  });

  test('that fail at COMMIT name the migration', async () => {
    await prepare(
      'create table p (id int primary key); create table c (p int references p deferrable initially deferred)',
    );
    expect(await failure(deployOne('insert into c values (1)'))).toMatchObject({
      code: 'STATEMENT_FAILED',
      message: expect.stringMatching(/^1_a, at the end of its transaction/) as string,
    });
  });
});

test.each([
  'set session characteristics as transaction isolation level serializable',
  'set default_transaction_isolation = serializable',
])('"%s" ends with its file', async (sql) => {
  await deploy(database.url, {
    '1_a': `${sql}; create table a ();`,
    '2_b': 'create table b as select current_setting($$transaction_isolation$$) x;',
  });
  expect(await rowsOf(database.url, 'select x from b')).toEqual([{ x: 'read committed' }]);
});

test('"set default_transaction_read_only" does not keep the next file from being applied', async () => {
  await deploy(database.url, {
    '1_a': 'create table a (); set default_transaction_read_only = on;',
    '2_b': 'create table b ();',
  });
  expect(await tablesOf(database.url)).toEqual(['a', 'b']);
});

describe('what is gone on with', () => {
  beforeEach(() =>
    prepare(
      'create schema s; create table s.t (v int); create index ti on s.t (v); insert into s.t values (1)',
    ),
  );
  const holdSnapshot = async () => {
    const other = await openClient(database.url);
    await other.query('begin isolation level repeatable read; select * from s.t');
    return other;
  };

  test.each(['set search_path = s', "select set_config('search_path', 's', false)"])(
    'sees names as the file does: %s',
    async (setting) => {
      const sql = `${setting};\ncreate table a (id int);\ndrop index concurrently ti;\ncreate table b (id int);`;
      const other = await holdSnapshot();
      await endBackendAt('drop index concurrently', deployOne(sql));
      await other.close();
      await deployOne(sql);
      expect(
        await rowsOf(database.url, "select to_regclass('s.ti') as ti, to_regclass('s.b') is not null as b"),
      ).toEqual([{ ti: null, b: true }]);
    },
  );

  test('does not make settings again that were rolled back', async () => {
    const sql =
      'begin; set search_path = s; create table a (id int); rollback;\ncreate table c (id int);\ncreate index concurrently tj on s.t (v);\ncreate table b (id int);';
    const other = await holdSnapshot();
    await endBackendAt('create index concurrently', deployOne(sql));
    await other.close();
    await deployOne(sql);
    expect(await tablesOf(database.url)).toEqual(['b', 'c']);
  });
});

test('an index that is invalid because dropping it was cancelled is named', async () => {
  await prepare('create table t (v int); create index ti on t (v)');
  const other = await openClient(database.url);
  await other.query('begin; select * from t');
  const cancel = new AbortController();
  const deploying = failure(deployOne('drop index concurrently ti', { signal: cancel.signal }));
  await waitFor(
    async () =>
      (
        await rowsOf(
          database.url,
          "select 1 from pg_index where indexrelid = 'ti'::regclass and not indisvalid",
        )
      ).length === 1,
    { what: 'the invalid index' },
  );
  cancel.abort();
  expect(await deploying).toMatchObject({
    code: 'MIGRATION_HALF_APPLIED',
    message: expect.stringContaining('invalid index') as string,
  });
  await other.close();
});

test('an invalid index that another session builds is not ours to drop', async () => {
  await prepare(
    'create schema b; create table t (v int); insert into t values (1), (1); create table b.t (v int)',
  );
  const holder = await openClient(database.url);
  await holder.query('begin isolation level repeatable read; select * from b.t');
  const builder = await openClient(database.url);
  const building = failure(builder.query('create index concurrently other on b.t (v)'));
  await waitFor(
    async () =>
      (await rowsOf(database.url, "select 1 from pg_index where indexrelid = to_regclass('b.other')"))
        .length === 1,
    { what: "the other's index" },
  );
  const deploying = failure(
    deployOne('create unique index concurrently mine on t (v)', { lockBudgetMs: 2_000 }),
  );
  expect(await deploying).toMatchObject({ message: expect.stringContaining('23505') as string });
  await holder.query('commit');
  await holder.close();
  await building;
  await builder.close();
  expect(
    await rowsOf(database.url, "select indisvalid from pg_index where indexrelid = to_regclass('b.other')"),
  ).toEqual([{ indisvalid: true }]);
});

test('a role that may not make the journal is told so, with nothing done', async () => {
  const role = `limited_${Date.now()}`;
  await run(
    `create role ${role} login password 'x'; grant create on schema public to ${role}; create type e as enum ('a'); alter type e owner to ${role}`,
  );
  const url = new URL(database.url);
  url.username = role;
  url.password = 'x';
  const error = await failure(
    deploy(url.href, { '1_a': "alter type e add value 'b'; create table x as select 'b'::e as v" }),
  );
  expect(error).toMatchObject({
    code: 'PERMISSION_DENIED',
    message: expect.stringContaining('GRANT CREATE ON DATABASE') as string,
  });
  expect(await tablesOf(database.url)).toEqual([]);
  await run(`drop owned by ${role}; drop role ${role}`);
});

test.each([
  'create temp table t (id int); drop table t; alter table t add column x int;',
  'create schema s; set search_path = s; create table t (id int); set search_path = public; alter table t add column x int;',
  'select public.alters();',
  'create schema s create table c (id int references public.t);',
  'with d as (delete from t returning *) select * from d;',
])('waits for locks no longer than allowed: %s', async (sql) => {
  await prepare(
    'create table t (id int primary key); create function alters() returns void language sql as $$ alter table public.t add column x int $$',
  );
  const other = await openClient(database.url);
  await other.query('begin; lock table t in access exclusive mode');
  expect(await failure(deployOne(sql, { lockTimeoutMs: 200, lockBudgetMs: 0 }))).toMatchObject({
    code: 'LOCK_TIMEOUT',
  });
  await other.close();
});
