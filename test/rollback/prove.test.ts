/** The way back of migrations, tried on a real server. */
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { readFolder } from '../../src/migrations/read-folder.ts';
import { loadParser } from '../../src/sql/parse.ts';
import { prove } from './prove.ts';

beforeAll(loadParser);

const base = `
  create type mood as enum ('sad', 'happy');
  create table parents (id int primary key, name text not null);
  create table children (id int primary key, parent_id int, feeling mood default 'happy', a int, b int,
    constraint children_parent_id_fkey foreign key (parent_id) references parents (id));
  create index children_parent_id_idx on children (parent_id);
  create view happy as select id from children where feeling = 'happy';
  create function twice(n int) returns int language sql immutable as 'select n * 2';`;

/** In one folder, one after the other: each stands on what those before it have left. */
const renames: readonly (readonly [what: string, sql: string])[] = [
  ['a column', 'alter table parents rename column name to title'],
  ['a table', 'alter table parents rename to people'],
  ['a constraint', 'alter table children rename constraint children_parent_id_fkey to fk'],
  ['the index of a primary key', 'alter index parents_pkey rename to people_pkey'],
  ['an index', 'alter index children_parent_id_idx rename to by_parent'],
  ['a view', 'alter view happy rename to glad'],
  ['a type', 'alter type mood rename to feeling'],
  ['a label', "alter type feeling rename value 'sad' to 'blue'"],
  ['a function', 'alter function twice(int) rename to doubled'],
  ['a table, into another schema', 'create schema s; alter table people set schema s'],
  ['a schema', 'alter schema s rename to r'],
  [
    'a table and its column at once',
    'alter table r.people rename to humans; alter table r.humans rename column title to t',
  ],
  [
    'two columns that swap their names',
    'alter table children rename column a to x; alter table children rename column b to a; alter table children rename column x to b',
  ],
  [
    'a table whose name another one takes',
    'alter table r.humans rename to humans_old; create table r.humans (id bigint primary key, name text)',
  ],
  ['in a block of code', "do $$ begin execute 'alter table r.humans_old rename to old'; end $$"],
];

test('what is renamed is named back, and nothing that was there is dropped', {
  timeout: 120_000,
}, async () => {
  const tried = await prove([base, ...renames.map(([, sql]) => `${sql};`)], { since: '2' });
  expect(tried.map(({ outcome, reasons }, number) => [renames[number]?.[0], outcome, reasons])).toEqual(
    renames.map(([what]) => [what, 'proven', []]),
  );
  for (const { sql } of tried) {
    expect(sql).toMatch(/rename|set schema/i);
    // But for what has taken another's name meanwhile, and stepped aside.
    expect(sql.replaceAll(/drop table "r"."switchback_aside_\d+"/gi, '')).not.toMatch(
      /drop (table|view|type|function|column)/i,
    );
  }
});

const changes: readonly (readonly [what: string, sql: string])[] = [
  ['a new table', 'create table t (id serial primary key, note text default $$x$$)'],
  ['a new column', 'alter table parents add column age int not null default 3 check (age > 0)'],
  ['a dropped column', 'alter table children drop column a'],
  ['a new label', "alter type mood add value 'furious'"],
  [
    'a type that is widened',
    'alter table parents alter column id type bigint; alter table children alter column parent_id type bigint',
  ],
  ['what refuses a transaction', 'create index concurrently by_b on children (b)'],
  ['a dropped table', 'drop view happy; drop table children'],
];

test('the schema is given back, whatever was changed', { timeout: 120_000 }, async () => {
  const tried = await prove([base, ...changes.map(([, sql]) => `${sql};`)], { since: '2' });
  expect(tried.map(({ outcome, reasons }, number) => [changes[number]?.[0], outcome, reasons])).toEqual(
    changes.map(([what]) => [what, 'proven', []]),
  );
});

test('every migration of the example', { timeout: 120_000 }, async () => {
  const { migrations } = readFolder(path.join(import.meta.dirname, '../../examples/globalrx'));
  const tried = await prove(migrations.map(({ sql }) => sql.toString()));
  expect(tried.map(({ outcome }) => outcome)).toEqual(migrations.map(() => 'proven'));
});

describe('a rollback that was written by hand', () => {
  const create = 'create table t (id int);';

  test('is taken, and proven', async () => {
    expect(await prove([[create, { 'rollback.sql': 'drop table t;' }]])).toMatchObject([
      { outcome: 'proven', source: 'rollback.sql', sql: 'drop table t;' },
    ]);
  });

  test('down.sql will do', async () => {
    expect(await prove([[create, { 'down.sql': 'drop table t;' }]])).toMatchObject([
      { outcome: 'proven', source: 'down.sql' },
    ]);
  });

  test('that leaves something behind is wrong, and the difference is named', async () => {
    const [proof] = await prove([
      [`${create} create table u (id int);`, { 'rollback.sql': 'drop table t;' }],
    ]);
    expect(proof).toMatchObject({ outcome: 'wrong' });
    expect(proof?.reasons.join('\n')).toContain('public.u');
  });

  test('that fails is wrong, and PostgreSQL’s reason is told', async () => {
    const [proof] = await prove([[create, { 'rollback.sql': 'drop table missing;' }]]);
    expect(proof).toMatchObject({ outcome: 'wrong' });
    expect(proof?.reasons.join('\n')).toContain('missing');
  });
});

test('one that gives the schema back and loses rows is wrong', async () => {
  const [, proof] = await prove([
    'create table t (id int primary key, a int);',
    [
      'alter table t add column b int;',
      {
        'down.sql':
          'alter table t drop column b; alter table t drop column a; alter table t add column a int;',
      },
    ],
  ]);
  expect(proof).toMatchObject({ outcome: 'wrong', on: 'generated rows' });
  expect(proof?.reasons).toEqual(['table public.t: its 3 rows have other values than before']);
});

test('rows that could not be kept are not counted, and it is said', async () => {
  const [, proof] = await prove([
    `create type addr as (street text, city text); create table t (id int primary key, a int, x addr);
      insert into t values (-1, 1, row ('s', 'c'));`,
    'alter type addr drop attribute city; update t set a = 2;',
  ]);
  expect(proof).toMatchObject({ outcome: 'proven', on: 'schema', reasons: [] });
  expect(proof?.compared.leftOut.join()).toMatch(/not kept: .*t\.x/);
});

test('rows with which a migration does not run are left out, and it is said', async () => {
  const [, proof, next] = await prove([
    'create table t (id int primary key, a int);',
    'alter table t add column b int not null;',
    'alter table t drop column a;',
  ]);
  expect(proof).toMatchObject({ outcome: 'proven', on: 'schema', compared: { tables: 0, rows: 0 } });
  expect(proof?.compared.leftOut.join()).toContain('contains null values');
  expect(next).toMatchObject({ outcome: 'proven', on: 'generated rows', compared: { tables: 1, rows: 3 } });
});

test('a migration that does not run ends it, by name', async () => {
  expect(await prove(['create table t (id int);', 'create table t (id int);', 'select 1;'])).toMatchObject([
    { name: '1', outcome: 'proven' },
    { name: '2', outcome: 'failed', reasons: [expect.stringContaining('already exists')] },
  ]);
});

test('migrations before the first one that is wanted are only applied', async () => {
  const tried = await prove(['create table t (id int);', 'alter table t add column a int;'], { since: '2' });
  expect(tried.map(({ name }) => name)).toEqual(['2']);
});

test('an attribute of a type gets its name back, and its values stay', async () => {
  const tried = await prove([
    'create type addr as (street text, zip text); create table a (id int primary key, x addr)',
    'alter type addr rename attribute zip to postcode; alter type addr rename attribute street to zip',
  ]);
  expect(tried[1]).toMatchObject({ outcome: 'proven', reasons: [], on: 'generated rows' });
});

test('a way back that would lose values is refused, as the rollback would be', async () => {
  const tried = await prove([
    'create type addr as (street text); create table a (id int primary key, x addr)',
    'alter type addr add attribute city text',
    'create table b (id int primary key)',
  ]);
  expect(tried.map(({ outcome }) => outcome)).toEqual(['proven', 'refused', 'proven']);
  expect(tried[1]?.reasons).toEqual([expect.stringContaining('a.x')]);
});

test('a type that rows are divided by is given back by no statement, and the way back is refused', async () => {
  const tried = await prove([
    `create type mood as enum ('sad', 'ok'); create table a (id int, m mood, n int) partition by list (n);
      create table a1 partition of a default partition by list (m); create table a11 partition of a1 default`,
    "alter type mood add value 'wild'",
    'create table b (id int primary key)',
  ]);
  expect(tried.map(({ outcome }) => outcome)).toEqual(['proven', 'refused', 'proven']);
  expect(tried[1]?.reasons).toEqual([expect.stringMatching(/column public\.a\.m .*divided into partitions/)]);
});
