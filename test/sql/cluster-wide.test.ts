import { beforeAll, describe, expect, test } from 'vitest';
import { reachesBeyond, withinDatabase } from '../../src/sql/cluster-wide.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { splitStatements } from '../../src/sql/split.ts';

beforeAll(() => loadParser());

describe('what reaches beyond its database', () => {
  test.each([
    "create role app login password 'x'",
    'alter user app set search_path = a',
    'alter role app rename to other',
    'grant admin to app',
    'create database other',
    'alter database orders set timezone = utc',
    "comment on database orders is 'x'",
    'alter system set work_mem = 1',
    'create subscription s connection $$x$$ publication p',
    'create user mapping for app server s',
    "do $$ begin if not exists (select from pg_roles where rolname = 'app') then create role app; end if; end $$",
    "select dblink_exec('x', 'drop table t')",
    'grant connect on database orders to app',
    'revoke create on tablespace fast from app',
    'grant set on parameter work_mem to app',
    'drop owned by app',
    'alter subscription s rename to t',
    'alter tablespace fast owner to app',
    "security label on role app is 'x'",
    "do $$ begin execute format('grant connect on database %I to app', current_database()); end $$",
    "insert into t select * from dblink('x', 'select 1') as remote (n int)",
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'orders'",
    "select pg_create_logical_replication_slot('s', 'pgoutput')",
    "copy t to program 'mail -s rows'",
    "copy t to '/srv/t.csv'",
    "do $$ begin copy t to program 'mail -s rows'; end $$",
  ])('%s', (sql) => {
    expect(splitStatements(sql).map(reachesBeyond)).toEqual([true]);
  });

  test.each([
    'grant select on t to app',
    'alter table t owner to app',
    'create table role (id int)',
    'alter table "user" add column role text',
    'do $$ begin alter table users add column role text; end $$',
    "comment on column users.role is 'alter role'",
    'create publication p for table t',
    "insert into pages values ('how to create user accounts')",
    'copy t to stdout',
    'grant usage on schema public to app',
    'alter table t rename to u',
  ])('not: %s', (sql) => {
    expect(splitStatements(sql).map(reachesBeyond)).toEqual([false]);
  });

  test('is taken out of a text, in which the rest keeps its place', () => {
    const text = 'create role a;\ncreate table ü (id int); create role b\n login; select 1;';
    const within = withinDatabase(text);
    expect(within).toHaveLength(text.length);
    expect(splitStatements(within as string).map((one) => [one.text, one.line])).toEqual([
      ['create table ü (id int)', 2],
      ['select 1', 3],
    ]);
  });

  test.each([
    'do $$ begin create role app; grant select on all tables in schema public to app; end $$',
    "create function f() returns void language plpgsql as $$ begin perform dblink_exec('x', 'y'); end $$",
    'drop owned by app',
  ])('cannot be taken out of a text where it may do more: %s', (sql) => {
    expect(withinDatabase(`create table t ();\n${sql}`)).toMatchObject({ line: 2 });
  });
});
