/** What statements take away of what was there before them, as it is read from their text. */
import { beforeAll, describe, expect, test } from 'vitest';
import { Schema } from '../../src/analysis/schema/schema.ts';
import { walkStatement } from '../../src/analysis/walk.ts';
import { removalsOf } from '../../src/migrations/removals.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { splitStatements } from '../../src/sql/split.ts';
import type { Removal } from '../../src/vault/removals.ts';

beforeAll(() => loadParser());

const before = `create table a (id int primary key, n varchar(20), big bigint, at date, price numeric(8, 2), mood mood);
  create table "B" (id serial primary key);
  create type mood as enum ('good', 'bad');
  create function writes() returns void language sql as $$ delete from a $$;
  create function reads() returns int language sql stable as $$ select 1 $$`;

/** What each statement removes, of a database that has `before`. */
function removalsIn(sql: string): readonly (readonly Removal[])[] {
  const schema = new Schema({ complete: true });
  for (const statement of splitStatements(before)) walkStatement(statement, schema, -1, () => undefined);
  return removalsOf(splitStatements(sql), schema, 1);
}

const removed = (sql: string): string[][] =>
  removalsIn(sql).map((removals) => removals.map(({ kind }) => kind));

describe('nothing', () => {
  test.each([
    'create table c (id int); insert into c select id from a; drop table c',
    'create table c (id int); alter table c rename to d; delete from d; truncate d; drop table d',
    'create temp table c as select * from a; delete from c',
    'alter table a add column c int, alter column n set not null; alter table a drop column c',
    'alter table a add column c int; alter table a alter column c type text',
    'alter table a alter column n type varchar(30)',
    'alter table a alter column n type text using n::text',
    'alter table a alter column id type bigint',
    'alter table a alter column at type timestamp',
    'alter table a alter column price type numeric(12, 2)',
    'create schema s; create table s.t (); drop schema s cascade',
    'drop table if exists not_there',
    'drop index if exists i cascade; drop view v; drop materialized view m; drop type mood; drop schema s',
    'drop function reads()',
    "alter type mood add value 'new'; alter type mood rename value 'bad' to 'sad'",
    'select reads(); select now(); select count(*) from a',
    'alter sequence "B_id_seq" increment by 2',
    'refresh materialized view m; vacuum; create index concurrently i on a (id)',
    'explain delete from a',
    "do $$ begin create type t as enum ('x'); exception when duplicate_object then null; end $$",
    'do $$ begin if not exists (select from a) then alter table a add constraint c check (id > 0); end if; end $$',
    'prepare p as delete from a',
    'copy a to stdout',
  ])('%s', (sql) => expect(removed(sql).flat()).toEqual([]));
});

describe('of each statement', () => {
  test.each<[string, ...string[][]]>([
    ['drop table a', ['dropTables']],
    ['drop table if exists a, "B"', ['dropTables']],
    ['drop schema public cascade', ['drop']],
    ['drop type mood cascade', ['drop']],
    ['drop view v cascade', ['drop']],
    ['drop extension e', ['drop']],
    ['drop sequence s', ['drop']],
    ['drop owned by somebody', ['drop']],
    ['alter table a drop column n', ['dropColumns']],
    ['alter table a drop column n, drop column at, alter column id type smallint', ['dropColumns', 'values']],
    ['alter table a drop column n cascade', ['drop']],
    ['alter table "B" alter column id drop identity', ['drop']],
    ['alter table a alter column n type varchar(10)', ['values']],
    ['alter table a alter column n type varchar(30) using upper(n)', ['values']],
    ['alter table a alter column big type int', ['values']],
    ['alter table a alter column mood type text', ['values']],
    ['alter table a alter column price type numeric(12, 1)', ['values']],
    ['truncate a, "B" restart identity', ['rows']],
    ['create table c (); truncate c cascade', [], ['rows']],
    ['delete from a', ['changes']],
    ['update a set n = 1', ['changes']],
    ['insert into a values (1)', ['changes']],
    ['merge into a using "B" b on b.id = a.id when matched then delete', ['changes']],
    ["copy a from '/file'", ['changes']],
    ['copy (delete from a returning id) to stdout', ['changes']],
    ['with gone as (delete from a returning id) select * from gone', ['changes']],
    ['create table c as with gone as (delete from a returning id) select * from gone', ['changes']],
    ['explain analyze delete from a', ['changes']],
    ['prepare p as delete from a; execute p', [], ['changes']],
    ['execute somebodys', ['opaque']],
    ['select writes()', ['opaque']],
    ['call writes()', ['opaque']],
    ['do $$ begin perform writes(); end $$', ['opaque']],
    ['do $$ begin delete from a; end $$', ['opaque']],
    ["do $$ begin execute 'delete from ' || current_setting('x.y'); end $$", ['opaque']],
    [
      'do $$ declare r record; begin for r in delete from a returning * loop null; end loop; end $$',
      ['opaque'],
    ],
    ['do language plperl $$ spi_exec_query("delete from a") $$', ['opaque']],
    ['select setval(\'"B_id_seq"\', 1)', ['sequence']],
    ["select setval(pg_get_serial_sequence('\"B\"', 'id'), 1)", ['sequence']],
    ['alter sequence "B_id_seq" restart', ['sequence']],
    ['alter table "B" alter column id restart with 5', ['sequence']],
    ['alter type pair drop attribute x', ['attributes']],
    ['drop database d', ['unkept']],
    ['select lo_unlink(1)', ['unkept']],
    ['create table if not exists a (id int); delete from a', [], ['changes']],
    ['do $$ begin create table c (); end $$; delete from c', [], ['changes']],
    [
      'create table c (id int); create trigger t after insert on c execute function writes(); insert into c values (1)',
      [],
      [],
      ['changes'],
    ],
    ['alter table a add column if not exists n text; alter table a drop column n', [], ['dropColumns']],
  ])('%s', (sql, ...expected) => expect(removed(sql)).toEqual(expected));

  test('an UPDATE of nothing but new columns removes only what triggers do', () => {
    expect(removalsIn('alter table a add column c int; update a set c = 1')).toEqual([
      [],
      [{ kind: 'changes', tables: [{ schema: null, name: 'a' }], unlessPlain: true }],
    ]);
  });

  test('where the database is not known, anything may be there', () => {
    const all =
      'drop table if exists c; alter table c alter column n type text; select f(); create table if not exists d (); insert into d values (1)';
    expect(removalsOf(splitStatements(all)).map((removals) => removals.map(({ kind }) => kind))).toEqual([
      ['dropTables'],
      ['values'],
      ['opaque'],
      [],
      ['changes'],
    ]);
  });
});
