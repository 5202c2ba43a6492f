import { beforeAll, describe, expect, test } from 'vitest';
import {
  addsEnumValue,
  blocksNobody,
  dropsSessionLocks,
  makesTemporary,
  runsAs,
  setsSession,
  takesNoBlockingLock,
  waitsForSnapshots,
} from '../../src/sql/classify.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { type Statement, splitStatements } from '../../src/sql/split.ts';

beforeAll(loadParser);

const one = (sql: string): Statement => {
  const [statement] = splitStatements(sql);
  if (statement === undefined) throw new Error(`no statement in ${sql}`);
  return statement;
};

describe('statements that PostgreSQL refuses in a transaction', () => {
  test.each([
    'create index concurrently i on t (a)',
    'create unique index concurrently if not exists i on s.t (a)',
    'drop index concurrently i',
    'reindex index concurrently i',
    'reindex (verbose, concurrently) table t',
    'reindex database d',
    'reindex schema s',
    'vacuum',
    'vacuum (analyze) t',
    'cluster',
    'cluster verbose',
    'create database d',
    'drop database d',
    'alter database d set tablespace s',
    "create tablespace s location '/x'",
    'drop tablespace s',
    'alter system set work_mem = 1',
    'alter table p detach partition q concurrently',
    "create subscription s connection '' publication p",
    'drop subscription s',
    'alter subscription s refresh publication',
  ])('%s', (sql) => expect(runsAs(one(sql))).toBe('alone'));

  test.each([
    'create index i on t (a)',
    'reindex table t',
    'reindex (concurrently false) table t',
    'analyze t',
    'cluster t using i',
    'alter table p detach partition q',
    'alter database d set work_mem = 1',
    "create subscription s connection '' publication p with (connect = false)",
    'alter subscription s disable',
    "alter type e add value 'x'",
    'refresh materialized view concurrently m',
    'savepoint a',
    'rollback to savepoint a',
    'do $$begin end$$',
  ])('not %s', (sql) => expect(runsAs(one(sql))).toBe('transactional'));
});

test.each([
  ['begin', 'begin'],
  ['start transaction isolation level serializable', 'begin'],
  ['commit', 'commit'],
  ['end', 'commit'],
  ['rollback', 'rollback'],
  ['abort', 'rollback'],
])('%s is transaction control', (sql, expected) => expect(runsAs(one(sql))).toBe(expected));

test.each([
  ['create index concurrently i on t (a)', true],
  ['drop index concurrently i', true],
  ['reindex table concurrently t', true],
  ['create index i on t (a)', false],
  ['vacuum t', false],
])('%s waits for snapshots: %s', (sql, expected) => expect(waitsForSnapshots(one(sql))).toBe(expected));

describe('whether lock_timeout is needed', () => {
  const blocks = (sql: string): boolean => !blocksNobody(one(sql)) && !takesNoBlockingLock(one(sql));
  test.each([
    'alter table t add column a int',
    'alter table t add constraint c check (a > 0) not valid',
    'alter table t validate constraint c, add column x int',
    'create index i on t (a)',
    'drop table t',
    'vacuum full t',
    'vacuum (full true, analyze) t',
    'do $$begin execute $q$drop table t$q$; end$$',
    'lock table t',
    'update t set a = 1',
    'delete from t',
    'create table n (a int references t)',
    'create table n partition of t default',
    'select * from t for update',
  ])('for %s', (sql) => expect(blocks(sql)).toBe(true));
  test.each([
    'alter table t validate constraint c',
    'create index concurrently i on t (a)',
    'vacuum t',
    'vacuum (full false) t',
    'select 1',
    'set work_mem = 1',
    'insert into t values (1)',
    'create table n (a int)',
    'create type e as enum ()',
    'create schema s',
    'create function f() returns int language sql as $$select 1$$',
    "comment on type e is 'x'",
  ])('not for %s', (sql) => expect(blocks(sql)).toBe(false));
});

describe('statements that would let go of our locks', () => {
  test.each([
    'discard all',
    'select pg_advisory_unlock_all()',
    'select pg_catalog."pg_advisory_unlock_all" ()',
    'do $$ begin perform pg_advisory_unlock_all ( ); end $$',
    "do $$ begin execute 'DISCARD  ALL'; end $$",
    'create function f() returns void language sql as $$ select pg_advisory_unlock_all() $$',
    'select pg_advisory_unlock(72707369)',
  ])('%s', (sql) => expect(dropsSessionLocks(one(sql))).toBe(true));
  test.each([
    'discard temp',
    'select pg_advisory_unlock(1)',
    "insert into t values ('pg_advisory_unlock_all()')",
    'do $$ begin -- discard all\nnull; end $$',
  ])('not %s', (sql) => expect(dropsSessionLocks(one(sql))).toBe(false));
});

test.each([
  ["alter type e add value 'x'", 'x'],
  ["alter type e add value if not exists 'it''s' before 'y'", "it's"],
  ["alter type e rename value 'a' to 'b'", null],
])('%s adds %s', (sql, expected) => expect(addsEnumValue(one(sql))).toBe(expected));

test.each([
  ['create temp table t (a int)', true],
  ['create temporary table t as select 1', true],
  ['select 1 as a into temp t', true],
  ['create table pg_temp.t (a int)', true],
  ['create temp sequence s', true],
  ['create temp view v as select 1', true],
  ['create table t (a int)', false],
])('%s is temporary: %s', (sql, expected) => expect(makesTemporary(one(sql))).toBe(expected));

test.each([
  ['set search_path = a', true],
  ['set session work_mem = 1', true],
  ["select set_config('search_path', '', false)", true],
  ['reset all', true],
  ['set local work_mem = 1', false],
  ['set transaction isolation level serializable', false],
])('%s holds for the session: %s', (sql, expected) => expect(setsSession(one(sql))).toBe(expected));
