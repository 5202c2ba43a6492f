/** What cannot be done is refused before anything is done. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { waitFor } from '../../support/wait.ts';
import { Gate, sql, thrownBy, value } from '../migrate.ts';
import { exchange, factsOf } from './tables.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const run = (text: string): Promise<Record<string, unknown>[]> => sql(database.url, text);
const plain = 'create table "t" (id int primary key, n int, s text); insert into t values (1, 1, 1)';
const alter = 'alter column id type bigint';

const cases: Record<string, { make?: string; body?: object; code: string; says: RegExp }> = {
  'a partitioned table': {
    make: 'create table t (id int primary key) partition by range (id)',
    ...{ code: 'SHADOW_REFUSED', says: /it is partitioned/ },
  },
  'a partition': {
    make: 'create table top (id int primary key) partition by range (id); create table t partition of top default',
    ...{ code: 'SHADOW_REFUSED', says: /it is a partition/ },
  },
  inheritance: {
    make: `${plain}; create table child () inherits (t)`,
    code: 'SHADOW_REFUSED',
    says: /inherit/,
  },
  'no unique key': {
    make: 'create table t (id int); insert into t values (1)',
    code: 'KEY_UNUSABLE',
    says: /no unique key/,
  },
  'a rule': {
    make: `${plain}; create rule nothing as on delete to t do instead nothing`,
    ...{ code: 'SHADOW_REFUSED', says: /the rule nothing/ },
  },
  'a materialized view': {
    make: `${plain}; create view v as select * from t; create materialized view m as select * from v`,
    ...{ code: 'SHADOW_REFUSED', says: /materialized view m|rule .* on materialized view (public\.)?m/ },
  },
  'a function that takes its row': {
    make: `${plain}; create function of_row(t) returns int language sql as 'select 1'`,
    ...{ code: 'SHADOW_REFUSED', says: /function (public\.)?of_row/ },
  },
  'a column of its row type': {
    make: `${plain}; create table rows_of (r t)`,
    ...{ code: 'SHADOW_REFUSED', says: /column r of table/ },
  },
  'a policy of another table': {
    make: `${plain}; create table x (id int); create policy p on x using (exists (select from t where t.id = x.id))`,
    ...{ code: 'SHADOW_REFUSED', says: /policy p on table/ },
  },
  'a publication of all tables': {
    make: `${plain}; create publication everything for all tables`,
    ...{ code: 'SHADOW_REFUSED', says: /publication everything/ },
  },
  'a view of a column that goes': {
    make: `${plain}; create view v as select n from t`,
    body: { alter: 'drop column n' },
    ...{ code: 'SHADOW_REFUSED', says: /cannot be carried over.*column t\.n does not exist/ },
  },
  'more than one statement': {
    body: { alter: 'drop column n; drop table t' },
    code: 'MAPPING_INVALID',
    says: /one ALTER TABLE/,
  },
  'no action at all': { body: { alter: 'rename to u' }, code: 'MAPPING_INVALID', says: /one ALTER TABLE/ },
  'an action that is no matter of form': {
    body: { alter: 'disable trigger all' },
    code: 'MAPPING_INVALID',
    says: /AT_DisableTrigAll/,
  },
  'a foreign key': {
    body: { alter: 'add foreign key (n) references t' },
    code: 'MAPPING_INVALID',
    says: /foreign key/,
  },
  'a foreign key with a column': {
    body: { alter: 'add column parent int references t' },
    ...{ code: 'MAPPING_INVALID', says: /foreign key/ },
  },
  'a change that PostgreSQL refuses': {
    body: { alter: 'alter column s type int' },
    code: 'STATEMENT_FAILED',
    says: /cannot be cast automatically/,
  },
  'USING without an expression': {
    body: { alter: 'alter column s type int using s::int' },
    ...{ code: 'MAPPING_INVALID', says: /columns\.<name>\.forth/ },
  },
  'a key that goes': {
    body: { alter: 'drop constraint t_pkey' },
    code: 'KEY_UNUSABLE',
    says: /no unique key of \(id\) any more/,
  },
  'an expression for the key': {
    body: { columns: { id: { forth: 'id + 1' } } },
    code: 'MAPPING_INVALID',
    says: /part of the key/,
  },
  'two expressions': {
    body: { columns: { n: { forth: '1, 2' } } },
    code: 'MAPPING_INVALID',
    says: /exactly one expression/,
  },
  'an unknown column': {
    body: { columns: { nowhere: { forth: '1' } } },
    code: 'MAPPING_INVALID',
    says: /no such column/,
  },
  'NOT NULL without a value': {
    body: { alter: 'add column more int not null' },
    ...{ code: 'MAPPING_INVALID', says: /NOT NULL and has no default/ },
  },
};

test.each(Object.keys(cases))('%s', async (name) => {
  const { make = plain, body = {}, code, says } = cases[name] as (typeof cases)[string];
  await run(
    `drop publication if exists everything; drop schema public cascade; create schema public; ${make}`,
  );
  const before = await factsOf(database.url);
  const error = await thrownBy(exchange(database.url, { table: 't', alter, ...body }));
  expect(error).toMatchObject({ code });
  expect((error as Error).message).toMatch(says);
  expect(await factsOf(database.url)).toEqual(before);
  expect(
    await value(
      database.url,
      "select count(*)::int from pg_namespace where nspname like 'switchback_vault_shadow%'",
    ),
  ).toBe(0);
  expect(
    await value(database.url, "select count(*)::int from pg_trigger where tgname like 'switchback%'"),
  ).toBe(0);
});

test('a table that was changed since is not swapped', async () => {
  await run(
    `drop publication if exists everything; drop schema public cascade; create schema public; ${plain}`,
  );
  const gate = new Gate(0);
  const running = thrownBy(exchange(database.url, { table: 't', alter }, { throttle: gate }));
  await waitFor(() =>
    value(database.url, 'select count(*) = 1 from switchback.data_migration where ended_at is null').catch(
      () => false,
    ),
  );
  await run('alter table t add column more int default 5; insert into t values (2, 2, 2, 2)');
  gate.open(100);
  expect(await running).toMatchObject({ code: 'TABLE_CHANGED' });
  expect(await value(database.url, 'select sum(more)::int from t')).toBe(7);
});
