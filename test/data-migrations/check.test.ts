/** Whether the rows are as a data migration should have left them. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { check, type Judgement } from '../../src/data-migrations/check.ts';
import { runDataMigration } from '../../src/data-migrations/run.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { runOf, sql, thrownBy, withClient } from './migrate.ts';

let database: TestDatabase;
let other: TestDatabase;
let transforms: string;
beforeAll(async () => {
  database = await createDatabase();
  other = await createDatabase();
  transforms = await mkdtemp(path.join(inject('runFolder'), 'transforms-'));
});
afterAll(async () => {
  await database.drop();
  await other.drop();
});

/** Runs a data migration and judges it; `meanwhile` happens once all rows were gone through. */
async function judged(
  body: object,
  { to, meanwhile = async () => undefined }: { to?: string; meanwhile?: () => Promise<unknown> } = {},
): Promise<Judgement> {
  const found: Judgement[] = [];
  const run = runOf(database.url, body, {
    id: randomUUID(),
    transforms,
    ...(to === undefined ? {} : { to }),
    async validate(work) {
      await meanwhile();
      const request = {
        ...{ id: run.id, spec: run.spec, source: run.source, written: run.written, signal: run.signal },
        names: { source: 'one', written: to === undefined ? 'one' : 'other' },
        values: 'shown' as const,
      };
      found.push(await check({ ...request, phase: (_, part) => part(() => undefined) }, work));
    },
  });
  await runDataMigration(run);
  return found[0] as Judgement;
}

/** A trigger that lets updates and deletes of one row fall by the wayside. */
const passesOver = (table: string, condition: string): string => `
  create function ${table}_skip() returns trigger language plpgsql as $$ begin return null; end $$;
  create trigger skip before update or delete on ${table} for each row when (${condition}) execute function ${table}_skip();`;

test('rows of a partitioned table that were missed, by a key of two columns', async () => {
  await sql(
    database.url,
    `create table parts (region text, id int, n int, primary key (region, id)) partition by list (region);
     create table parts_a partition of parts for values in ('a'); create table parts_b partition of parts for values in ('b');
     insert into parts select r, n from unnest(array['a', 'b']) r, generate_series(1, 20) n; ${passesOver('parts', "old.region = 'b' and old.id in (3, 5)")}`,
  );
  expect(
    await judged({ kind: 'backfill', table: 'parts', set: { n: 'id' }, where: 'n is null' }),
  ).toMatchObject({
    ...{ passed: false, by: 'rows-left', left: 2 },
    listed: [
      ['b', '3'],
      ['b', '5'],
    ],
  });
});

test('a table that was empty has none', async () => {
  await sql(database.url, 'create table empty (id int primary key, n int)');
  const meanwhile = () => sql(database.url, 'insert into empty values (1, null)');
  const spec = { kind: 'backfill', table: 'empty', set: { n: 'id' } };
  expect(await judged(spec, { meanwhile })).toMatchObject({ passed: true, left: 0 });
});

test('rows that a transaction wrote which was open at the start, or that came later, are not missed', async () => {
  await sql(
    database.url,
    'create table written (id int primary key, n int); insert into written select n from generate_series(1, 9) n; create table elsewhere (id int)',
  );
  await withClient(database.url, async (client) => {
    // It has its number before the start, and writes after it.
    await client.query('begin; insert into elsewhere values (1)');
    await sql(database.url, 'insert into elsewhere values (2)');
    const meanwhile = async (): Promise<void> => {
      await client.query('update written set n = null where id = 4; commit');
      await sql(
        database.url,
        'insert into written values (0, null), (10, null); update written set n = null where id = 8',
      );
    };
    const spec = { kind: 'backfill', table: 'written', set: { n: 'id' }, where: 'n is null' };
    expect(await judged(spec, { meanwhile })).toMatchObject({ passed: true, left: 0 });
  });
});

test('a change that leaves its own condition true is no fault', async () => {
  await sql(
    database.url,
    'create table still (id int primary key, n int); insert into still select n, 0 from generate_series(1, 9) n',
  );
  expect(
    await judged({ kind: 'backfill', table: 'still', set: { n: 'n + 1' }, where: 'n < 100' }),
  ).toMatchObject({
    ...{ passed: true, left: 0 },
  });
});

test('where the condition asks for the time, rows are only counted', async () => {
  await sql(
    database.url,
    `create table aged (id int primary key, at timestamptz default now()); insert into aged select from generate_series(1, 9) n where false; insert into aged select n from generate_series(1, 9) n; ${passesOver('aged', 'old.id = 2')}`,
  );
  expect(await judged({ kind: 'delete', table: 'aged', where: 'at <= now()' })).toMatchObject({
    ...{ passed: true, left: 1, listed: [['2']] },
  });
});

test('rows in the quarantine are left out, with their number', async () => {
  await sql(
    database.url,
    "create table faulty (id text primary key, n text); insert into faulty values ('a''b', 'x'), ('c', '1'); create table clean (id text primary key, n int)",
  );
  const spec = { table: 'faulty', toleratedRows: 1 };
  const n = { n: 'n::int' };
  expect(
    await judged({ ...spec, kind: 'copy', to: { table: 'clean' }, columns: { id: 'id', ...n } }),
  ).toMatchObject({
    ...{ passed: true, by: 'comparison', quarantined: 1, comparison: { rows: { source: 1, target: 1 } } },
  });
});

test('of a copy that leaves what is there, the keys count', async () => {
  await sql(
    database.url,
    "create table left_alone (id int primary key, name text); insert into left_alone values (1, 'a'), (2, 'b'); create table there (id int primary key, name text); insert into there values (1, 'other')",
  );
  const spec = { kind: 'copy', table: 'left_alone', to: { table: 'there' } };
  expect(await judged({ ...spec, onConflict: 'skip' })).toMatchObject({ passed: true, by: 'comparison' });
  await sql(database.url, 'truncate there');
  const gone = { meanwhile: () => sql(database.url, 'delete from there where id = 2') };
  expect(await judged({ ...spec, onConflict: 'skip' }, gone)).toMatchObject({
    ...{ passed: false, comparison: { differences: { missing: 1 } } },
  });
});

test('what is converted when it is written is no difference', async () => {
  await sql(
    database.url,
    "create table days (id int primary key, at date); insert into days values (1, '2020-02-02')",
  );
  await sql(other.url, 'create table days (id bigint primary key, at timestamp)');
  expect(
    await judged(
      { kind: 'copy', table: 'days', to: { database: 'other', table: 'days' } },
      { to: other.url },
    ),
  ).toMatchObject({
    ...{ passed: true, by: 'comparison', comparison: { columns: ['at'] } },
  });
});

test('without a key the rows are counted', async () => {
  await sql(
    database.url,
    'create table keyless (n int); insert into keyless values (1), (1), (2); create table kept (n int)',
  );
  const spec = { kind: 'copy', from: 'snapshot', table: 'keyless', to: { table: 'kept' } };
  expect(await judged(spec)).toMatchObject({ passed: true, by: 'counts' });
  await sql(database.url, 'truncate kept');
  expect(
    await judged(spec, { meanwhile: () => sql(database.url, 'delete from kept where n = 2') }),
  ).toMatchObject({
    ...{ passed: false, by: 'counts' },
  });
});

test('too many rows in the quarantine cannot be left out', async () => {
  await sql(
    database.url,
    'create table many (id int primary key, n int); insert into many values (1, null); create table few (id int primary key, n int)',
  );
  // To find as many one by one takes its time.
  const meanwhile = () =>
    sql(
      database.url,
      "insert into switchback.data_quarantine (migration, key, error) select id, array[n::text], '{}' from switchback.data_migration, generate_series(1, 1001) n where ended_at is null and relation = 'few'::regclass",
    );
  const spec = { kind: 'copy', table: 'many', to: { table: 'few' } };
  expect(await thrownBy(judged(spec, { meanwhile }))).toMatchObject({ code: 'ROWS_AT_FAULT' });
});

describe('what a module has made is made once more', () => {
  const people = (name: string): Promise<unknown> =>
    sql(
      database.url,
      `create table ${name} (id int primary key, name text); insert into ${name} select n, 'n' || n from generate_series(1, 30) n;
       create table ${name}_cards (id int primary key, line varchar(9), made timestamptz, token float8)`,
    );
  const cards = (name: string, more: object = {}) => ({
    ...{ kind: 'transform', module: 'card', table: name, to: { table: `${name}_cards` } },
    ...more,
  });
  beforeAll(() =>
    writeFile(
      path.join(transforms, 'card.mjs'),
      `export default (rows) =>
         rows.map(({ id, name }) => ({ id, line: name.toUpperCase(), made: new Date(), token: Math.random() }));`,
    ),
  );

  test.each(['here', 'elsewhere'])('%s, but for what differs each time', async (place) => {
    const name = `people_${place}`;
    await people(name);
    if (place === 'elsewhere')
      await sql(
        other.url,
        `create table ${name}_cards (id int primary key, line varchar(9), made timestamptz, token float8)`,
      );
    const judgement = await judged(cards(name), place === 'here' ? {} : { to: other.url });
    expect(judgement).toMatchObject({ passed: true, sample: { compared: 30, wrong: [] } });
    expect(judgement.says).toContain('differs each time: made, token');
  });

  test('rows that were written otherwise are named; those that somebody has written since are none of them', async () => {
    await people('tampered');
    const meanwhile = () =>
      sql(
        database.url,
        `update tampered_cards set line = 'other' where id in (3, 4); update tampered set name = 'later' where id = 4`,
      );
    expect(await judged(cards('tampered'), { meanwhile })).toMatchObject({
      passed: false,
      by: 'comparison',
      comparison: { same: true },
      sample: {
        compared: 29,
        wrong: [{ key: { id: '3' }, reason: 'the module makes another line of it' }],
      },
    });
  });

  test('rows that were there before and were left alone are not', async () => {
    await people('before');
    await sql(database.url, `insert into before_cards values (1, 'mine')`);
    const judgement = await judged(cards('before', { onConflict: 'skip' }));
    expect(judgement).toMatchObject({ passed: true, by: 'comparison' });
    expect(judgement.sample).toBeUndefined();
  });
});
