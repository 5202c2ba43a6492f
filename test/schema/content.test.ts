import { afterAll, beforeAll, expect, test } from 'vitest';
import { readContent } from '../../src/schema/content.ts';
import { openServer, type SchemaServer, work } from './place.ts';

let server: SchemaServer;
beforeAll(async () => {
  server = await openServer(15);
});
afterAll(() => server.close());

const contentOf = async (sql: string) =>
  work((await server.make(sql)).url, (session) => readContent(session));

test('content is the same whatever the order of rows and of columns', async () => {
  const [one, other] = [
    await contentOf(`create table t (a int, b text, c timestamptz);
      insert into t values (1, 'x', '2026-01-01 00:00+00'), (2, null, null), (2, null, null)`),
    await contentOf(`set timezone = 'Asia/Tokyo';
      create table t (c timestamptz, gone int, b text, a int);
      alter table t drop column gone;
      insert into t (a) values (2), (2);
      insert into t (a, b, c) values (1, 'x', '2026-01-01 09:00+09')`),
  ];
  expect(one.get('public.t')?.rows).toBe(3);
  expect(other).toEqual(one);
});

test.each([
  ['a value', "update t set b = 'y' where a = 1"],
  ['NULL for the empty text', "update t set b = null where b = ''"],
  ['a row more', "insert into t values (3, 'z')"],
  ['a row twice', "insert into t values (1, 'x')"],
  ['values that change places', 'update t set a = 3 - a where a < 3'],
  ['a column more', 'alter table t add column d int'],
  [
    'the rule of a generated column',
    'alter table t drop column g, add column g int generated always as (a * 3) stored',
  ],
])('content changes with %s', async (_, sql) => {
  const base =
    "create table t (a int, b text, g int generated always as (a * 2) stored); insert into t values (1, 'x'), (2, ''), (4, 'w');";
  const [before, after] = [await contentOf(base), await contentOf(base + sql)];
  expect(after.get('public.t')).not.toEqual(before.get('public.t'));
});

test('content is that of tables of users, or of those that are asked for', async () => {
  const database = await server.make(`
    create table "A b" ("C d" int); create table none ();
    create schema app; create table app.p (id int) partition by list (id);
    create table app.p1 partition of app.p for values in (1); insert into app.p values (1);
    create table parent (id int); create table child () inherits (parent); insert into child values (1);
    create view v as select 1; create materialized view m as select 1 as one; create table json (j json); insert into json values ('{"a": 1}');
    create table _prisma_migrations (id int); create schema switchback; create table switchback.journal (id int);
    create schema switchback_vault; create table switchback_vault.kept (id int)`);
  await work(database.url, async (session) => {
    const content = await readContent(session);
    expect([...content].map(([table, { rows }]) => [table, rows])).toEqual([
      ['app.p1', 1],
      ['public.A b', 0],
      ['public.child', 1],
      ['public.json', 1],
      ['public.none', 0],
      ['public.parent', 0],
    ]);
    const asked = await readContent(session, [
      { schema: 'switchback_vault', name: 'kept' },
      { schema: 'public', name: 'm' },
    ]);
    expect([...asked.keys()]).toEqual(['public.m', 'switchback_vault.kept']);
  });
});
