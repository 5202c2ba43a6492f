/** Who a migration works as, and what is set on the database, changes nothing about what is kept and comes back. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Session } from '../../src/db/session.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { deploy, historyOf, rollBack } from '../migrations/deploy.ts';
import { createDatabase, onShared, type TestDatabase } from '../support/postgres.ts';
import { open, texts } from './harness.ts';

let database: TestDatabase;
let session: Session;
let role: string;
beforeAll(loadParser);
beforeEach(async () => {
  database = await createDatabase();
  session = await open(database.url);
  role = `role_${randomUUID().slice(0, 8)}`;
  await onShared((client) => client.query(`create role ${role} login password 'p'`));
});
afterEach(async () => {
  await session.close();
  await database.drop();
  await onShared((client) => client.query(`drop role ${role}`));
});

const table = "create table a (id int primary key, n text); insert into a values (1, 'x'), (2, 'y')";

describe('a file that works in the name of another role', () => {
  const history = () => historyOf(database.url);

  test.each(['set role', 'set session authorization'])('%s, to its end', async (set) => {
    const files = { '0_seed': `${table}; grant select, delete on a to ${role}` };
    await deploy(database.url, files);
    const [outcome] = await deploy(
      database.url,
      { ...files, '1_delete': `${set} ${role}; delete from a where id = 1` },
      { vault: {} },
    );
    expect(outcome?.kept).toHaveLength(1);
    await rollBack(database.url, { '1_delete': '' });
    expect(await texts(session, 'select * from a')).toEqual(['(1,x)', '(2,y)']);
    expect((await history()).map(({ rolledBack }) => rolledBack)).toEqual([false, true]);
  });

  test('taking a migration back, and each of its statements does', async () => {
    const files = {
      '0_seed': `${table}; alter table a owner to ${role}; grant create on schema public to ${role}`,
    };
    await deploy(database.url, files);
    await deploy(
      database.url,
      { ...files, '1_drop': 'alter table a drop column n; alter table a add column k int' },
      { vault: {} },
    );
    const [outcome] = await rollBack(database.url, {
      '1_drop': `set role ${role}; alter table a add column n text;\n-- switchback: restore\nalter table a drop column k; create table made_by_it (id int)`,
    });
    expect(outcome?.restored).toMatchObject([{ restored: 2, conflicts: {} }]);
    expect(outcome?.kept).toHaveLength(1);
    expect(await texts(session, "select tableowner from pg_tables where tablename = 'made_by_it'")).toEqual([
      `(${role})`,
    ]);
    expect(await texts(session, 'select id, n from a')).toEqual(['(1,x)', '(2,y)']);
  });
});

const settings: Readonly<Record<string, string>> = {
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Asia/Kolkata',
  bytea_output: 'escape',
  extra_float_digits: '-10',
  standard_conforming_strings: 'off',
  quote_all_identifiers: 'on',
  search_path: 'nowhere',
  default_transaction_isolation: 'repeatable read',
  idle_in_transaction_session_timeout: '20ms',
};

test('what is set on the database is in force for the file, and for nothing else', async () => {
  for (const [name, value] of Object.entries(settings))
    await session.query(
      `do $$ begin execute format('alter database %I set ${name} = %L', current_database(), '${value}'); end $$`,
    );
  const files = {
    '0_seed': `create table a (id int primary key, n text, b bytea, i interval, d date, t timestamptz, f float8);
      insert into a select id, 'x', decode('00ff5c', 'hex'), interval '1 mon -1 day', date '2020-02-01', timestamptz '2020-02-01 12:00Z', 0.1::float8 + 0.2 from generate_series(1, 2000) id`,
  };
  await deploy(database.url, files);
  const all = () =>
    texts(session, 'select count(*), min(id), n, b, i, d, t, f from public.a group by n, b, i, d, t, f');
  const before = await all();
  const change = `create table seen as select name, setting from pg_settings;
    update a set d = d + 1, i = i * 2, f = 1; delete from a where id < 1000; alter table a drop column b, drop column t; alter table a alter column n type varchar(1) using d::text`;
  await deploy(
    database.url,
    { ...files, '1_change': change.replace('using d::text', 'using left(d::text, 1)') },
    { vault: {} },
  );
  expect(
    await texts(
      session,
      "select setting from public.seen where name in ('DateStyle', 'extra_float_digits', 'TimeZone')",
    ),
  ).toEqual(['("SQL, DMY")', '(-10)', '(Asia/Kolkata)']);
  await rollBack(database.url, {
    '1_change': `alter table a alter column n type text; alter table a add column b bytea, add column t timestamptz;\n-- switchback: restore\ndrop table seen`,
  });
  expect(await all()).toEqual(before);
  expect((await historyOf(database.url)).map(({ rolledBack }) => rolledBack)).toEqual([false, true]);
});

describe('rows that row level security hides', () => {
  let url: string;
  beforeEach(async () => {
    const place = new URL(database.url);
    [place.username, place.password] = [role, 'p'];
    url = place.href;
    await session.query(
      `do $$ begin execute format('alter database %I owner to ${role}', current_database()); end $$; grant all on schema public to ${role}`,
    );
  });
  const forced = (name: string) =>
    `alter table ${name} enable row level security; alter table ${name} force row level security; create policy only_one on ${name} using (id = 1)`;
  const forcedTables = () =>
    texts(session, "select relname from pg_class where relforcerowsecurity and relkind = 'r'");

  test.each([
    ['in the table itself', 'a', 'update a set n = 0; delete from a where id = 1'],
    ['in the table that it points to', 'p', 'delete from a'],
    ['in a table that points to it', 'a', 'insert into p values (9)'],
    ['where a type is changed', 'a', "alter table a alter column n type text using n || 'x'"],
  ])('%s', async (_, name, change) => {
    const files = {
      '0_seed': `create table p (id int primary key); create table a (id int primary key, p int references p on delete cascade, n int);
        insert into p values (1), (2); insert into a values (1, 1, 5), (2, 2, 6); ${forced(name)}`,
    };
    await deploy(url, files);
    const all = async () => [
      await texts(session, 'select * from p'),
      await texts(session, 'select id, p, n::text from a'),
    ];
    const before = await all();
    await deploy(url, { ...files, '1_change': change }, { vault: {} });
    const back = change.startsWith('alter')
      ? 'alter table a alter column n type int using case when false then 1 end'
      : '';
    await rollBack(url, { '1_change': back });
    expect(await all()).toEqual(before);
    expect(await forcedTables()).toEqual([`(${name})`]);
  });

  test('are counted where they have no value for a column that is to have one', async () => {
    const files = {
      '0_seed': `create table a (id int primary key, n int not null); insert into a values (1, 5), (2, 6); ${forced('a')}`,
    };
    await deploy(url, files);
    await deploy(url, { ...files, '1_drop': 'alter table a drop column n' }, { vault: {} });
    await session.query('insert into a values (3)');
    const [outcome] = await rollBack(url, {
      '1_drop':
        'alter table a add column n int;\n-- switchback: restore\nalter table a alter column n set not null',
    });
    expect(outcome?.leftNullable).toEqual([{ table: '"a"', column: 'n', rows: 1 }]);
    expect(await forcedTables()).toEqual(['(a)']);
  });

  test('of tables that belong to somebody else stop it before anything is written', async () => {
    const files = {
      '0_seed':
        'create table p (id int primary key); create table a (id int primary key, p int references p); insert into p values (1); insert into a values (1, 1)',
    };
    await deploy(url, files);
    await deploy(url, { ...files, '1_delete': 'delete from a' }, { vault: {} });
    await session.query(
      `alter table p owner to current_user; grant select on p to ${role}; alter table p enable row level security`,
    );
    await expect(rollBack(url, { '1_delete': '' })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(/Row level security hides rows of public\.p .*BYPASSRLS/),
    });
  });
});
