import pg from 'pg';
import { describe, expect, test } from 'vitest';
import {
  availableMajors,
  createDatabase,
  onShared,
  startServer,
  type TestDatabase,
  urlOf,
} from '../../support/postgres.ts';
import { compare, told } from './compare.ts';

const columns = `id int primary key, name text, fixed char(6), amount numeric, big bigint, at timestamptz, span interval, day date,
  f4 real, f8 double precision, body jsonb, plain json, raw bytea, tags text[], grid int[], address inet, flag boolean, key uuid,
  price money, bits bit varying(9), spot point, during tstzrange, mood mood`;
const rows = `select n, 'Ö ' || n, 'f' || n, n / 7.0, n * 4294967297, timestamptz '2020-01-01Z' + n * interval '1.000001 s', n * interval '1 day 3 s', date '2020-01-01' + n,
  n / 3.0, n / 7.0, jsonb_build_object('a', n / 2.0), '{"b":  1, "a": 2}', decode(md5(n::text), 'hex'), array['x' || n, null], array[[n, 1], [2, 3]], '10.0.0.1'::inet + n, n % 2 = 0, md5(n::text)::uuid,
  n::money, b'101', point(n / 3.0, n), tstzrange('2020-01-01Z', null), 'glad' from generate_series(1, 500) n`;
const differences = `update target set name = 'o' where id = 1; update target set amount = -amount where id = 2;
  update target set big = big # 4294967297 where id = 3; update target set at = at + interval '1 microsecond' where id = 4;
  update target set body = '{"a": "1.5"}' where id = 5; update target set grid = '{6,1,2,3}' where id = 6; update target set mood = 'sad' where id = 7;
  update target set plain = '{"a": 2, "b":  1}' where id = 8; update target set name = null where id = 9; delete from target where id = 10; update target set id = 1000 where id = 11`;
const expected = [
  'changed 1: name',
  'changed 2: amount',
  'changed 3: big',
  'changed 4: at',
  'changed 5: body',
  'changed 6: grid',
  'changed 7: mood',
  'changed 8: plain',
  'changed 9: name',
  'extra 1000',
  'missing 10',
  'missing 11',
];

async function withClient(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  // Whatever the application's settings are.
  await client.query(sql);
  await client.end();
}

/** The enum has another number in each of the two, and its labels another order. */
async function fill(source: TestDatabase, target: TestDatabase): Promise<{ source: string; target: string }> {
  await withClient(
    source.url,
    `create type mood as enum ('sad', 'glad'); create table source (${columns}); insert into source ${rows}`,
  );
  await withClient(
    target.url,
    `create type other as enum (); create type mood as enum ('glad', 'sad'); create table target (${columns}); insert into target ${rows}`,
  );
  await withClient(
    target.url,
    `alter database ${target.name} set timezone = 'Asia/Tokyo'; alter database ${target.name} set extra_float_digits = -5`,
  );
  return { source: source.url, target: target.url };
}

describe.each([
  [15, 'types'],
  ...availableMajors.filter((major) => major === 14 || major === 18).map((major) => [major, 'text'] as const),
] as const)('from PostgreSQL 15 to %i', (major, method) => {
  test('the same rows are the same, and each difference is found', async () => {
    const source = await createDatabase();
    const server = major === 15 ? null : await startServer(major);
    const target = server === null ? await createDatabase() : await server.createDatabase();
    try {
      const urls = await fill(source, target);
      expect(await compare(urls, { parallelism: 2 })).toMatchObject({
        same: true,
        method,
        rows: { source: 500, target: 500 },
      });
      await withClient(urls.target, differences);
      expect(told(await compare(urls))).toEqual(expected);
    } finally {
      await source.drop();
      await target.drop();
      await server?.stop();
    }
  });
});

test('two databases of other encodings are compared by their texts', async () => {
  const source = await createDatabase();
  const name = `latin_${source.name}`;
  await onShared((client) =>
    client.query(`create database ${name} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0`),
  );
  const target = {
    name,
    url: urlOf(source.url, name),
    drop: () => onShared(async (client) => void (await client.query(`drop database ${name} with (force)`))),
  };
  try {
    const urls = await fill(source, target);
    expect(await compare(urls)).toMatchObject({ same: true, method: 'text-sha256' });
    await withClient(urls.target, differences);
    expect(told(await compare(urls))).toEqual(expected);
  } finally {
    await source.drop();
    await target.drop();
  }
});
