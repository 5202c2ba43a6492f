/** Each kind on a small table, in one database and across two. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { migrate, sql, value } from './migrate.ts';

let one: TestDatabase;
let other: TestDatabase;

beforeAll(async () => {
  one = await createDatabase();
  other = await createDatabase();
});

afterAll(async () => {
  await one.drop();
  await other.drop();
});

const accounts = (table: string, rows: number): string =>
  `create table ${table} (id bigint primary key, balance int not null, note text); insert into ${table} select n, n, md5(n::text) from generate_series(1, ${rows}) n`;

/** What a data migration makes in a database, but for the rows that say that it was there. */
const leftovers = (url: string): Promise<unknown> =>
  value(
    url,
    `select (select count(*)::int from pg_trigger where tgname like 'switchback%') + (select count(*)::int from pg_proc p where p.pronamespace = to_regnamespace('switchback')) + (select count(*)::int from switchback.data_guard)`,
  );

describe('backfill', () => {
  test('changes every row once, in several ranges', async () => {
    await sql(one.url, accounts('b1', 20_000));
    const outcome = await migrate(one.url, {
      kind: 'backfill',
      table: 'b1',
      set: { balance: 'balance + 1' },
      parallelism: 3,
      pace: { maxRows: 700 },
    });
    expect(outcome).toMatchObject({
      state: 'finished',
      progress: { scanned: 20_000, changed: 20_000, total: 20_000, exact: true, ranges: 0 },
    });
    expect(await value(one.url, 'select count(*)::int from b1 where balance = id + 1')).toBe(20_000);
    expect(await leftovers(one.url)).toBe(0);
  });

  test('changes only rows for which the condition is true', async () => {
    await sql(one.url, accounts('b2', 3_000));
    const outcome = await migrate(one.url, {
      kind: 'backfill',
      table: 'b2',
      set: { note: "'x' || note", balance: '0' },
      where: 'id % 3 = 0',
    });
    expect(outcome.progress).toMatchObject({ scanned: 3_000, changed: 1_000 });
    expect(await value(one.url, "select count(*)::int from b2 where balance = 0 and note like 'x%'")).toBe(
      1_000,
    );
  });

  test('of an empty table there is nothing to do', async () => {
    await sql(one.url, accounts('b3', 0));
    expect(await migrate(one.url, { kind: 'backfill', table: 'b3', set: { balance: '1' } })).toMatchObject({
      state: 'finished',
      progress: { scanned: 0 },
    });
    expect(await leftovers(one.url)).toBe(0);
  });
});

describe('delete', () => {
  test('deletes the rows for which the condition is true', async () => {
    await sql(one.url, accounts('d1', 5_000));
    const outcome = await migrate(one.url, {
      kind: 'delete',
      table: 'd1',
      where: 'id > 1000',
      parallelism: 2,
    });
    expect(outcome.progress).toMatchObject({ scanned: 5_000, changed: 4_000 });
    expect(await value(one.url, 'select count(*)::int from d1')).toBe(1_000);
  });
});

const target = (table: string): string =>
  `create table ${table} (id bigint primary key, total numeric(12, 2) not null, label text)`;
const mapping = { id: 'id', total: 'balance / 2.0', label: 'upper(note)' };

describe.each([
  ['within a database', () => ({ url: one.url, to: undefined, database: undefined })],
  ['across databases', () => ({ url: other.url, to: other.url, database: 'other' })],
])('copy %s', (_, place) => {
  test('copies rows by a mapping, in several ranges', async () => {
    const { url, to, database } = place();
    await sql(one.url, `drop table if exists c1; ${accounts('c1', 9_000)}`);
    await sql(url, `drop table if exists c2; ${target('c2')}`);
    const outcome = await migrate(
      one.url,
      {
        kind: 'copy',
        table: 'c1',
        to: { table: 'c2', database },
        columns: mapping,
        parallelism: 2,
        pace: { maxRows: 900 },
      },
      { to },
    );
    expect(outcome.progress).toMatchObject({ scanned: 9_000, changed: 9_000 });
    expect(
      await sql(
        url,
        'select count(*)::int as rows, sum(total)::text as total from c2 where label = upper(label)',
      ),
    ).toEqual([{ rows: 9_000, total: '20252250.00' }]);
    expect(await leftovers(one.url)).toBe(0);
  });

  test.each([
    ['skip', 5],
    ['update', 1],
  ])('of rows that are there already: %s', async (onConflict, total) => {
    const { url, to, database } = place();
    await sql(one.url, `drop table if exists c1; ${accounts('c1', 100)}`);
    await sql(url, `drop table if exists c2; ${target('c2')}; insert into c2 values (2, 5, 'there')`);
    await migrate(
      one.url,
      { kind: 'copy', table: 'c1', to: { table: 'c2', database }, columns: mapping, onConflict },
      { to },
    );
    expect(await value(url, 'select count(*)::int from c2')).toBe(100);
    expect(await value(url, 'select total::int from c2 where id = 2')).toBe(total);
  });

  test('copies a table without a key out of one snapshot', async () => {
    const { url, to, database } = place();
    await sql(
      one.url,
      'drop table if exists c3; create table c3 (a int, b text); insert into c3 select n % 10, null from generate_series(1, 1000) n',
    );
    await sql(url, 'drop table if exists c4; create table c4 (a int, b text)');
    const outcome = await migrate(
      one.url,
      { kind: 'copy', table: 'c3', to: { table: 'c4', database }, from: 'snapshot', where: 'a < 5' },
      { to },
    );
    expect(outcome).toMatchObject({ state: 'finished', progress: { changed: 500 } });
    expect(await value(url, 'select count(*)::int from c4')).toBe(500);
  });
});

describe.each([
  ['within a database', () => ({ url: one.url, to: undefined, database: undefined })],
  ['across databases', () => ({ url: other.url, to: other.url, database: 'other' })],
])('archive %s', (_, place) => {
  test('moves the rows', async () => {
    const { url, to, database } = place();
    await sql(one.url, `drop table if exists a1; ${accounts('a1', 4_000)}`);
    await sql(url, `drop table if exists a2; ${target('a2')}`);
    const outcome = await migrate(
      one.url,
      {
        kind: 'archive',
        table: 'a1',
        where: 'id <= 3000',
        to: { table: 'a2', database },
        columns: mapping,
        parallelism: 2,
        pace: { maxRows: 500 },
      },
      { to },
    );
    expect(outcome.progress).toMatchObject({ scanned: 4_000, changed: 3_000 });
    expect(await value(one.url, 'select count(*)::int from a1')).toBe(1_000);
    expect(await sql(url, 'select count(*)::int as rows, sum(total)::text as total from a2')).toEqual([
      { rows: 3_000, total: '2250750.00' },
    ]);
    expect(await leftovers(one.url)).toBe(0);
  });
});
