import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type CompareRows,
  compareSample,
  type SampledPair,
} from '../../../src/data-migrations/validate/sample.ts';
import { parseTarget } from '../../../src/db/target.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

let database: TestDatabase;
let client: pg.Client;
beforeEach(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(
    `create table people (id bigint primary key, name text, born date); insert into people select n, 'Name ' || n, date '2000-01-01' + n from generate_series(1, 2000) n;
     create table cards (person bigint primary key, "Text" jsonb); insert into cards select id, jsonb_build_object('line', upper(name) || ' ' || born) from people`,
  );
});
afterEach(async () => {
  await client.end();
  await database.drop();
});

const each =
  (compare: (pair: SampledPair) => string | null): CompareRows =>
  async (pairs) =>
    pairs.map(compare);

const asUpper = each(({ source, target }) =>
  target === null
    ? 'there is no card'
    : (JSON.parse(target.Text ?? '{}') as { line?: string }).line ===
        `${source.name?.toUpperCase()} ${source.born}`
      ? null
      : 'the line is another',
);

const sample = (rows: number, compare: CompareRows) => {
  const place = { database: 'one', target: parseTarget(database.url), schema: 'public' };
  return compareSample(
    {
      source: { ...place, table: 'people', where: 'id <= 1000' },
      target: { ...place, table: 'cards' },
      columns: { person: 'id' },
      rows,
      pauseMs: 0,
    },
    { applicationName: 'switchback:test', signal: new AbortController().signal },
    compare,
  );
};

test('rows are compared by code, and those that are wrong are named by their keys', async () => {
  expect(await sample(5_000, asUpper)).toEqual({ compared: 1_000, wrong: [] });
  await client.query(
    `delete from cards where person = 7; update cards set "Text" = '{"line": "x"}' where person in (9, 1500)`,
  );
  const { wrong } = await sample(5_000, asUpper);
  expect(wrong.toSorted((a, b) => Number(a.key.person) - Number(b.key.person))).toEqual([
    { key: { person: '7' }, reason: 'there is no card' },
    { key: { person: '9' }, reason: 'the line is another' },
  ]);
});

test('a sample is of the size that is asked for, and another one each time', async () => {
  const seen: string[][] = [[], []];
  for (const ids of seen) {
    const note = each(({ source }) => {
      ids.push(source.id ?? '');
      return null;
    });
    expect((await sample(50, note)).compared).toBe(50);
  }
  const [first = [], second = []] = seen;
  expect(new Set(first).size).toBe(50);
  expect(first.toSorted()).not.toEqual(second.toSorted());
  // Not one stretch of the table.
  expect(Math.max(...first.map(Number)) - Math.min(...first.map(Number))).toBeGreaterThan(500);
});

test('a row that is right when it is compared again is not wrong', async () => {
  let asked = 0;
  const late = each(({ source }) => {
    asked += 1;
    return source.id === '5' && asked <= 1_000 ? 'late' : null;
  });
  expect(await sample(5_000, late)).toEqual({ compared: 1_000, wrong: [] });
  expect(asked).toBe(1_001);
});

test('what the code throws ends it', async () => {
  const broken = each(() => {
    throw new Error('broken');
  });
  await expect(sample(10, broken)).rejects.toThrow('broken');
});
