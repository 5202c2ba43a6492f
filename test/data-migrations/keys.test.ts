/** Which keys will do, how batches find their rows, and what is refused before anything is done. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dryRun } from '../../src/data-migrations/dry-run.ts';
import { dataMigrationSpec } from '../../src/data-migrations/spec.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { migrate, runOf, sql, thrownBy, value } from './migrate.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const run = (text: string): Promise<Record<string, unknown>[]> => sql(database.url, text);

const keys: readonly (readonly [
  what: string,
  columns: string,
  constraint: string,
  key: string,
  n: string,
])[] = [
  ['bigint', 'id bigint', 'primary key (id)', 'id', 'n * 7'],
  ['uuid', 'id uuid', 'primary key (id)', 'id', 'md5(n::text)::uuid'],
  ['text', 'id text', 'primary key (id)', 'id', "chr(65 + n % 60) || ' ' || n"],
  [
    'text of an own collation',
    'id text collate "C"',
    'primary key (id)',
    'id',
    "chr(65 + n % 60) || '''' || n",
  ],
  [
    'timestamptz',
    'id timestamptz',
    'primary key (id)',
    'id',
    "'1999-12-31 23:59:59.999999Z'::timestamptz + n * interval '1.000001 s'",
  ],
  [
    'composite',
    'a int not null, "B" text not null, c uuid not null',
    'unique (a, "B", c)',
    'a, "B", c',
    'n % 3, (n % 11)::text, md5(n::text)::uuid',
  ],
  ['descending', 'id bigint not null', '', 'id', 'n'],
  [
    'enum',
    'id mood not null, n int not null',
    'primary key (id, n)',
    'id, n',
    "(array['sad','glad'])[1 + n % 2]::mood, n",
  ],
  ['domain', 'id positive not null', 'primary key (id)', 'id', 'n'],
  ['numeric', 'id numeric', 'primary key (id)', 'id', 'n / 3.0'],
  ['float8', 'id float8', 'primary key (id)', 'id', 'sqrt(n)'],
  ['bytea', 'id bytea', 'primary key (id)', 'id', 'decode(md5(n::text), $$hex$$)'],
  [
    'date and interval',
    'a date, b interval',
    'primary key (a, b)',
    'a, b',
    "date '2020-01-01' + n % 5, n * interval '1 min'",
  ],
];

describe('a key of', () => {
  beforeAll(() =>
    run("create type mood as enum ('sad', 'glad'); create domain positive as int check (value > 0)"),
  );

  test.each(keys)('%s', async (what, columns, constraint, key, n) => {
    await run(`drop table if exists keyed; create table keyed (${columns}, done int not null default 0 ${constraint === '' ? '' : `, ${constraint}`});
      ${what === 'descending' ? 'create unique index on keyed (id desc);' : ''}
      insert into keyed (${key}) select ${n} from generate_series(1, 3000) n; analyze keyed`);
    const body = {
      kind: 'backfill',
      table: 'keyed',
      set: { done: 'done + 1' },
      parallelism: 2,
      pace: { maxRows: 130 },
    };
    const { plan } = await dryRun(runOf(database.url, body));
    expect(plan.join('\n')).not.toMatch(/Seq Scan on keyed|Bitmap|Sort/);
    expect(await migrate(database.url, body)).toMatchObject({ progress: { changed: 3_000 } });
    expect(await value(database.url, 'select count(*)::int from keyed where done = 1')).toBe(3_000);
  });
});

test('a batch goes along the key, whatever other index its condition has', async () => {
  await run(`create table planned (a int, b text, status text, done int, primary key (a, b)); create index on planned (status);
    insert into planned select n % 100, n::text, case when n = 5 then 'new' else 'old' end from generate_series(1, 5000) n; analyze planned`);
  const { plan } = await dryRun(
    runOf(database.url, { kind: 'backfill', table: 'planned', set: { done: '1' }, where: "status = 'new'" }),
  );
  const text = plan.join('\n');
  expect(text).toMatch(
    /Index Scan using planned_pkey on planned[^\n]*\n\s+Index Cond: \(ROW\(a, b\) <= ROW\(/,
  );
  expect(text).not.toContain('planned_status_idx');
});

describe('refused, with nothing done:', () => {
  const cases: readonly (readonly [what: string, table: string, body: object, code: string, says: RegExp])[] =
    [
      ['no key', 'create table x (id int)', {}, 'KEY_UNUSABLE', /no unique key.*snapshot/],
      ['a key that may be null', 'create table x (id int unique)', {}, 'KEY_UNUSABLE', /may be null: id/],
      [
        'a partial unique index',
        'create table x (id int not null); create unique index on x (id) where id > 0',
        {},
        'KEY_UNUSABLE',
        /no unique key/,
      ],
      [
        'another operator class',
        'create table x (id text not null); create unique index on x (id text_pattern_ops)',
        {},
        'KEY_UNUSABLE',
        /operator class/,
      ],
      [
        'mixed directions',
        'create table x (id int not null, b int not null); create unique index on x (id, b desc)',
        {},
        'KEY_UNUSABLE',
        /mixed directions/,
      ],
      [
        'a key that is not there',
        'create table x (id int primary key, b int)',
        { key: ['b'] },
        'KEY_UNUSABLE',
        /no unique key of \(b\)/,
      ],
      ['no table', 'create table y (id int primary key)', {}, 'TABLE_NOT_FOUND', /no table public.x/],
      ['a view', 'create view x as select 1 as id', {}, 'TABLE_NOT_FOUND', /no table public.x/],
      [
        'no such column',
        'create table x (id int primary key)',
        { set: { nothing: '1' } },
        'MAPPING_INVALID',
        /no such column/,
      ],
      [
        'a generated column',
        'create table x (id int primary key, v int generated always as (1) stored)',
        { set: { v: '1' } },
        'MAPPING_INVALID',
        /generates/,
      ],
      [
        'a column of the key',
        'create table x (id int primary key, v int)',
        { set: { id: 'id + 1' } },
        'MAPPING_INVALID',
        /part of the key/,
      ],
      [
        'types that do not convert',
        'create table x (id int primary key, v int)',
        { set: { v: 'now()' } },
        'MAPPING_INVALID',
        /timestamp with time zone/,
      ],
      [
        'two expressions',
        'create table x (id int primary key, v int)',
        { set: { v: '1, id = 5' } },
        'MAPPING_INVALID',
        /exactly one expression/,
      ],
      [
        'two statements',
        'create table x (id int primary key, v int)',
        { set: { v: '1; drop table x' } },
        'MAPPING_INVALID',
        /exactly one expression/,
      ],
      [
        'what closes a parenthesis',
        'create table x (id int primary key, v int)',
        { where: 'true) or (true' },
        'MAPPING_INVALID',
        /syntax error/,
      ],
      [
        'a comment that swallows the rest',
        'create table x (id int primary key, v int)',
        { set: { v: '1 --' }, where: '/* true' },
        'MAPPING_INVALID',
        /unterminated|comment/,
      ],
      [
        'a statement within',
        'create table x (id int primary key, v int)',
        { set: { v: '(with w as (delete from x returning 1) select count(*) from w)' } },
        'MAPPING_INVALID',
        /top level/,
      ],
      [
        'an aggregate',
        'create table x (id int primary key, v int)',
        { set: { v: 'sum(v)' } },
        'MAPPING_INVALID',
        /aggregate/,
      ],
      [
        'a set',
        'create table x (id int primary key, v int)',
        { set: { v: 'generate_series(1, 2)' } },
        'MAPPING_INVALID',
        /set-returning/,
      ],
      [
        'a condition that is none',
        'create table x (id int primary key, v int)',
        { where: 'v' },
        'MAPPING_INVALID',
        /boolean/,
      ],
    ];

  test.each(cases)('%s', async (_, table, body, code, says) => {
    const fresh = await createDatabase();
    await sql(fresh.url, table);
    const thrown = await thrownBy(
      migrate(fresh.url, { kind: 'backfill', table: 'x', set: { v: '1' }, ...body }),
    );
    expect(thrown).toMatchObject({ code, message: expect.stringMatching(says) });
    expect(
      await value(fresh.url, "select count(*)::int from pg_namespace where nspname = 'switchback'"),
    ).toBe(0);
    await fresh.drop();
  });

  test.each([
    ['an unknown kind', { kind: 'transmute', table: 'x' }],
    ['an unknown field', { kind: 'backfill', table: 'x', set: { v: '1' }, sets: {} }],
    ['an unknown limit', { kind: 'backfill', table: 'x', set: { v: '1' }, limits: { lag: 5 } }],
    ['a delete without a condition', { kind: 'delete', table: 'x' }],
    ['no columns', { kind: 'backfill', table: 'x', set: {} }],
    [
      'an archive that would drop what it did not write',
      { kind: 'archive', table: 'x', where: 'true', to: { table: 'y' }, onConflict: 'skip' },
    ],
  ])('%s', (_, body) => {
    expect(dataMigrationSpec.safeParse({ name: 'test', ...body }).success).toBe(false);
  });
});

test('limits are only those that were given', () => {
  const limits = { lockWaitMs: 100, walBytesPerSecond: null };
  expect(
    dataMigrationSpec.parse({ name: 'test', kind: 'backfill', table: 'x', set: { v: '1' }, limits }),
  ).toMatchObject({ limits });
});

test('a mapping is checked before anything is copied', async () => {
  await run(
    'create table from_table (id int primary key, amount int, note text); insert into from_table values (1, 2, $$a$$); create table to_table (id int primary key, amount int, total int)',
  );
  const copy = (columns?: object, more: object = {}) =>
    thrownBy(
      migrate(
        database.url,
        { kind: 'copy', table: 'from_table', to: { table: 'to_table' }, columns, ...more },
        { id: randomUUID() },
      ),
    );
  expect(await copy()).toMatchObject({
    code: 'MAPPING_INVALID',
    message: expect.stringContaining('no column total'),
  });
  expect(await copy({ id: 'id', total: 'note' })).toMatchObject({
    code: 'MAPPING_INVALID',
    message: expect.stringContaining('integer'),
  });
  expect(await copy({ id: 'id', totals: 'amount' })).toMatchObject({
    code: 'MAPPING_INVALID',
    message: expect.stringContaining('no such column'),
  });
  expect(await copy({ amount: 'amount' }, { onConflict: 'update' })).toMatchObject({ code: 'KEY_UNUSABLE' });
  expect(await value(database.url, 'select count(*)::int from to_table')).toBe(0);
});
