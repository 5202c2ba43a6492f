import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { waitFor } from '../../support/wait.ts';
import { type Ask, compare, told } from './compare.ts';

let database: TestDatabase;
let client: pg.Client;
beforeEach(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await database.drop();
});

/** Both tables with the same rows; then what makes them differ. */
async function twins(columns: string, rows: string, differences = ''): Promise<void> {
  await client.query(
    `create table source (${columns}); insert into source ${rows};
     create table target (like source including all); insert into target select * from source; ${differences}`,
  );
}

const hundred = "select n, 'name ' || n from generate_series(1, 100) n";
const ask = (more: Ask = {}) => compare(database.url, more);

describe('what is the same', () => {
  test('tables with the same rows, whatever their physical order', async () => {
    await twins('id int primary key, name text', hundred, 'update target set name = name where id % 3 = 0');
    expect(await ask()).toMatchObject({
      same: true,
      method: 'types',
      rows: { source: 100, target: 100 },
      key: ['id'],
      columns: ['name'],
      notCompared: { source: [], target: [] },
      differences: { total: 0, listed: [] },
    });
  });

  test('empty tables', async () => {
    await twins('id int primary key, name text', 'select 1, null where false');
    expect(await ask()).toMatchObject({ same: true, rows: { source: 0, target: 0 } });
  });

  test.each([
    ['numeric', '1.0', '1.00'],
    ['numeric', '0', '-0.000'],
    ['float8', "'-0'", "'0'"],
    ['float4', "'NaN'", "'NaN'"],
    ['jsonb', `'{"b": 1, "a": 2}'`, `'{"a": 2, "b": 1}'`],
    ['timestamptz', "'2020-01-01 12:00+02'", "'2020-01-01 10:00Z'"],
    ['text', 'null', 'null'],
  ])('of %s: %s and %s', async (type, source, target) => {
    await twins(`id int primary key, v ${type}`, `values (1, ${source})`, `update target set v = ${target}`);
    expect(told(await ask())).toEqual([]);
  });

  test.each([
    ['int', 'bigint', '7'],
    ['smallint', 'numeric(10,2)', '7'],
    ['real', 'double precision', '0.5'],
    ['char(5)', 'text', "'ab'"],
    ['varchar(5)[]', 'text[]', "'{a,b}'"],
    ['int[]', 'bigint[]', "'{1,-2}'"],
    ['json', 'jsonb', `'{"a":  1}'`],
    ['mood', 'text', "'sad'"],
    ['positive', 'bigint', '3'],
  ])('%s and %s', async (source, target, value) => {
    await client.query(
      `create type mood as enum ('sad', 'glad'); create domain positive as int check (value > 0);
       create table source (id int primary key, v ${source}); create table target (id bigint primary key, v ${target});
       insert into source values (1, ${value}), (2, null); insert into target select * from source`,
    );
    expect(told(await ask())).toEqual([]);
    await client.query('update target set v = null');
    expect(told(await ask())).toEqual(['changed 1: v']);
  });
});

describe('what differs', () => {
  test('is named, with both values', async () => {
    await twins(
      'id int primary key, name text, note text',
      `${hundred.replace('from', ", 'n' from")}`,
      `delete from target where id = 5; insert into target values (200, 'new');
       update target set name = null where id = 7; update target set name = 'x', note = 'y' where id = 8`,
    );
    const outcome = await ask();
    expect(outcome).toMatchObject({
      same: false,
      rows: { source: 100, target: 100 },
      differences: { total: 4, missing: 1, extra: 1, changed: 2, comparedOnce: 0 },
      moving: { total: 0 },
      settled: 0,
    });
    expect(outcome.differences.listed.toSorted((a, b) => Number(a.key.id) - Number(b.key.id))).toEqual([
      { kind: 'missing', key: { id: '5' }, columns: [], expected: { name: 'name 5', note: 'n' } },
      {
        kind: 'changed',
        key: { id: '7' },
        columns: ['name'],
        expected: { name: 'name 7' },
        found: { name: null },
      },
      {
        kind: 'changed',
        key: { id: '8' },
        columns: ['name', 'note'],
        expected: { name: 'name 8', note: 'n' },
        found: { name: 'x', note: 'y' },
      },
      { kind: 'extra', key: { id: '200' }, columns: [], found: { name: 'new', note: null } },
    ]);
  });

  test('is told without values where they are redacted', async () => {
    await twins('id int primary key, name text', hundred, "update target set name = 'x' where id = 9");
    const { differences } = await ask({ values: 'redacted' });
    expect(differences.listed).toEqual([{ kind: 'changed', key: { id: '9' }, columns: ['name'] }]);
  });

  test('is counted in full and listed in part', async () => {
    await twins('id int primary key, name text', hundred, "update target set name = 'x'");
    const { differences, buckets } = await ask({ listed: 3 });
    expect(differences).toMatchObject({ total: 100, changed: 100 });
    expect(differences.listed).toHaveLength(3);
    expect(buckets.differing).toBe(100);
  });

  test('values that two rows of one bucket have swapped; the sums of columns alone would be the same', async () => {
    // Keys whose numbers are 1,024 apart share a bucket.
    await twins(
      'id int primary key, name text, n bigint',
      "select n * 1024, 'name ' || n, n from generate_series(1, 9) n",
      `update target t set name = s.name from source s where (t.id, s.id) in ((1024, 2048), (2048, 1024));
       update target t set n = s.n from source s where (t.id, s.id) in ((3072, 4096), (4096, 3072))`,
    );
    const outcome = await ask();
    expect(outcome.buckets.differing).toBe(1);
    expect(told(outcome)).toEqual([
      'changed 1024: name',
      'changed 2048: name',
      'changed 3072: n',
      'changed 4096: n',
    ]);
  });

  test('rows that hold nothing but nulls, under another key', async () => {
    await twins(
      'id int primary key, name text',
      'values (1, null), (1025, null)',
      'update target set id = 2049 where id = 1',
    );
    expect(told(await ask())).toEqual(['extra 2049', 'missing 1']);
  });

  // Each pair has one hash by its type's own function.
  test.each([
    ['numeric(6,2)', '5', '-5'],
    ['numeric', "'NaN'", "'Infinity'"],
    ['bigint', '0', '4294967297'],
    ['timestamptz', "'2000-01-01Z'", "'2000-01-01 01:11:34.967297Z'"],
    ['int[]', "'{1,2,3,4}'", "'{{1,2},{3,4}}'"],
    ['int[]', "'{1,2}'", "'[0:1]={1,2}'"],
    ['jsonb', "'[[1],2]'", "'[[1,2]]'"],
    ['jsonb', `'{"a":{"b":1},"c":2}'`, `'{"a":{"b":1,"c":2}}'`],
    ['interval', "'1 mon'", "'30 days'"],
    ['text collate coarse', "'resume'", "'RESUME'"],
    ['inet', "'10.0.0.1'", "'10.0.0.1/24'"],
    ['text', "''", 'null'],
    ['bytea', "'\\x00'", "'\\x0000'"],
    ['float8', "'NaN'", 'null'],
  ])('of %s: %s and %s', async (type, source, target) => {
    await client.query(
      "create collation coarse (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
    );
    await twins(`id int primary key, v ${type}`, `values (1, ${source})`, `update target set v = ${target}`);
    expect(told(await ask())).toEqual(['changed 1: v']);
  });
});

describe('what is compared', () => {
  test('a mapping of columns and expressions, with a key of another name', async () => {
    await client.query(
      `create table source (no int primary key, first text, last text, cents int, old text);
       insert into source select n, 'f' || n, 'l' || n, n * 100, 'old' from generate_series(1, 50) n;
       create table target (id bigint primary key, "fullName" text, price numeric(8,2), made timestamptz default now());
       insert into target select no, first || ' ' || last, cents / 100.0 from source; update target set price = 0 where id = 3`,
    );
    const columns = { id: 'no', fullName: "concat(first, ' ', last) -- both", price: 'cents / 100.0' };
    const outcome = await ask({ columns });
    expect(told(outcome)).toEqual(['changed 3: price']);
    expect(outcome.notCompared).toEqual({ source: ['old'], target: ['made'] });
  });

  test('rows for which where is true, and extra rows only where they are refused', async () => {
    await twins(
      'id int primary key, name text',
      hundred,
      'delete from target where id > 60; delete from source where id < 11',
    );
    expect(await ask({ source: { where: 'id <= 60' }, extraRows: 'allowed' })).toMatchObject({ same: true });
    expect(await ask({ source: { where: 'id <= 60' } })).toMatchObject({
      differences: { total: 10, extra: 10 },
    });
    const both = { source: { where: 'id <= 60' }, target: { where: 'id > 10' } };
    expect(await ask(both)).toMatchObject({ same: true, rows: { source: 50, target: 50 } });
  });

  test('a table with itself', async () => {
    await client.query(
      'create table t (id int primary key, a int, b int); insert into t select n, n, n * 2 from generate_series(1, 9) n; update t set b = 0 where id = 4',
    );
    const place = { table: 't', where: 'id < 9' };
    expect(told(await ask({ source: place, target: place, columns: { b: 'a * 2' } }))).toEqual([
      'changed 4: b',
    ]);
  });

  test('partitioned tables, part by part and in several sessions', async () => {
    await client.query(
      `create table source (id int primary key, name text); insert into source select n, repeat('x', 100) || n from generate_series(1, 20000) n;
       create table target (id int primary key, name text) partition by range (id);
       create table target_1 partition of target for values from (1) to (19000); create table target_2 partition of target for values from (19000) to (30000)`,
    );
    for (let n = 0; n < 130; n += 1)
      await client.query(
        `create table rest_${n} partition of target for values from (${30000 + n}) to (${30001 + n})`,
      );
    await client.query(
      'insert into target select * from source; update target set name = null where id in (1, 18999, 19000)',
    );
    for (const parallelism of [1, 3])
      expect(await ask({ parallelism })).toMatchObject({
        rows: { source: 20000, target: 20000 },
        differences: { total: 3 },
      });
  });

  test.each([
    ['a uuid', 'id uuid', 'md5(n::text)::uuid', '', 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'],
    ['a text', 'id text', "'Ö ''' || n", '', "Ö '1"],
    ['char(n)', 'id char(6)', "'c' || n", '', 'c1'],
    [
      'a moment',
      'id timestamptz',
      "timestamptz '2020-01-01Z' + n * interval '1 s'",
      '',
      '2020-01-01 00:00:01+00',
    ],
    ['a number', 'id numeric', 'n / 10.0', '', '0.1'],
    ['several', 'a int, b text', "n, 'b' || n % 2", 'a, b', '1/b1'],
  ])('keys: %s', async (_, columns, values, key, first) => {
    await client.query(
      `create table source (${columns}, v int, primary key (${key || 'id'})); insert into source select ${values}, n from generate_series(1, 300) n;
       create table target (like source including all); insert into target select * from source; update target set v = 0 where v = 1`,
    );
    expect(told(await ask())).toEqual([`changed ${first}: v`]);
  });
});

describe('while the application works', () => {
  test('rows that are the same a moment later are no differences', async () => {
    await twins(
      'id int primary key, name text',
      hundred,
      "update target set name = 'late' where id < 4; delete from target where id = 9",
    );
    const outcome = await ask({
      onPhase: async (name) => {
        if (name === 'compareAgain')
          await client.query(
            'update target t set name = s.name from source s where s.id = t.id and t.id < 3; insert into target select * from source where id = 9',
          );
      },
    });
    expect(told(outcome)).toEqual(['changed 3: name']);
    expect(outcome).toMatchObject({ settled: 3, differences: { total: 1 } });
  });

  test('rows that never stand still are named as moving', async () => {
    await twins('id int primary key, name text', 'select n, null from generate_series(1, 5) n');
    const outcome = await ask({ columns: { name: 'case when id > 3 then gen_random_uuid()::text end' } });
    expect(outcome).toMatchObject({ same: true, differences: { total: 0 }, moving: { total: 2 } });
    expect(outcome.moving.listed).toEqual(expect.arrayContaining([{ id: '4' }, { id: '5' }]));
  });

  test('both sides are read in one snapshot, and no lock is held between two parts', async () => {
    await twins('id int primary key, name text', hundred, "update target set name = 'x' where id = 1");
    const outcome = await ask({
      onPhase: async (name) => {
        if (name !== 'locate') return;
        await client.query(
          "set lock_timeout = '5s'; alter table target add column more int; delete from source where id > 50",
        );
      },
    });
    expect(outcome).toMatchObject({ rows: { source: 100, target: 100 }, differences: { total: 1 } });
  });

  test.each([
    'truncate target',
    'vacuum full target',
    'drop table target',
    'alter table target alter name type int using 1',
    'alter table target rename to old; create table target (like old including all)',
  ])('a table that becomes another one is told: %s', async (change) => {
    await twins('id int primary key, name text', hundred, "update target set name = 'x' where id = 1");
    const onPhase = async (name: string) => {
      if (name === 'locate') await client.query(change);
    };
    await expect(ask({ onPhase })).rejects.toMatchObject({ code: 'TABLE_CHANGED' });
  });

  test('limits of the database for statements do not hold for it; it can be cancelled', async () => {
    await twins('id int primary key, name text', hundred);
    await client.query(`alter database ${database.name} set statement_timeout = 100`);
    const slow = { where: 'pg_sleep(0.005) is not null' };
    expect(await ask({ source: slow })).toMatchObject({ same: true });
    const controller = new AbortController();
    const asked = expect(
      ask({ source: { where: 'pg_sleep(60) is not null' }, signal: controller.signal }),
    ).rejects.toThrow('enough');
    const active =
      "select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name = 'switchback:test'";
    await waitFor(
      async () =>
        (await client.query<{ count: number }>(`${active} and wait_event = 'PgSleep'`)).rows[0]?.count === 1,
    );
    controller.abort(new AppError('JOB_CANCELLED', 'enough'));
    await asked;
    await waitFor(async () => (await client.query<{ count: number }>(active)).rows[0]?.count === 0);
  });

  test('nothing is written, whatever an expression does', async () => {
    await twins('id int primary key, name text', hundred);
    await client.query(
      "create function touch() returns text language sql as $$ insert into source values (0) returning 'x' $$",
    );
    await expect(ask({ columns: { name: 'touch()' } })).rejects.toMatchObject({
      details: { sqlstate: '25006' },
    });
  });
});

describe('bad input', () => {
  const cases: readonly [string, string, Ask, RegExp][] = [
    ['TABLE_NOT_FOUND', '', { target: { table: 'Target' } }, /no table public.Target/],
    ['KEY_UNUSABLE', 'alter table target drop constraint target_pkey', {}, /no unique key without nulls/],
    ['KEY_UNUSABLE', 'alter table source drop constraint source_pkey', {}, /Its keys are|Make a primary key/],
    ['KEY_UNUSABLE', 'alter table target add unique (name)', { key: ['name'] }, /within \(name\)/],
    ['KEY_UNUSABLE', '', { columns: { id: 'id + 0', name: 'name' } }, /.*/],
    [
      'KEY_UNUSABLE',
      'create view seen as select * from target',
      { target: { table: 'seen' } },
      /no unique key/,
    ],
    ['MAPPING_INVALID', '', { columns: { nothing: 'name' } }, /no column nothing/],
    ['MAPPING_INVALID', '', { columns: { name: 'nothing' } }, /column "nothing" does not exist/],
    ['MAPPING_INVALID', '', { columns: { name: 'name, id' } }, /not exactly one expression/],
    [
      'MAPPING_INVALID',
      '',
      { columns: { name: 'name) from source; drop table target; --' } },
      /syntax error/,
    ],
    ['MAPPING_INVALID', '', { columns: { name: 'max(name)' } }, /aggregate function calls cannot be nested/],
    ['MAPPING_INVALID', '', { columns: { name: "regexp_split_to_table(name, ' ')" } }, /set-returning/],
    ['MAPPING_INVALID', '', { source: { where: 'id' } }, /must be type boolean/],
    ['MAPPING_INVALID', '', { source: { where: 'true; select 1' } }, /syntax error|not exactly one/],
    ['MAPPING_INVALID', 'alter table target add more int', {}, /source.* has no column more/],
    [
      'TYPES_NOT_COMPARABLE',
      'alter table target alter name type timestamptz using null',
      {},
      /is timestamptz.* is text/,
    ],
    ['TYPES_NOT_COMPARABLE', 'alter table target alter id type text', {}, /id .*is text.* is int4/],
    ['TYPES_NOT_COMPARABLE', '', { columns: { name: 'id' } }, /name .*is text.* is int4/],
  ];
  test.each(cases)('%s %s %o', async (code, change, asked, message) => {
    await twins('id int primary key, name text', hundred, change);
    await expect(ask(asked)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('rows that row security would hide are an error, not missing rows', async () => {
    const role = `r${database.name.slice(5, 20)}`;
    await twins('id int primary key, name text', hundred, 'alter table target enable row level security');
    await client.query(`create role ${role} login password 'x'; grant select on source, target to ${role}`);
    try {
      const url = new URL(database.url);
      url.username = role;
      url.password = 'x';
      await expect(compare(url.href)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    } finally {
      await client.query(`drop owned by ${role}; drop role ${role}`);
    }
  });
});
