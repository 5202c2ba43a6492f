/** Rows that are inserted while a data migration runs, where a trigger is to change them. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listQuarantined } from '../../src/data-migrations/quarantine.ts';
import { retryQuarantined } from '../../src/data-migrations/retry.ts';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Gate, type MigrateOptions, migrate, runOf, sql, thrownBy, value, withClient } from './migrate.ts';

let database: TestDatabase;
let other: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  other = await createDatabase();
});
afterAll(async () => {
  await database.drop();
  await other.drop();
});

const run = (text: string): Promise<Record<string, unknown>[]> => sql(database.url, text);
const count = (text: string): Promise<unknown> => value(database.url, `select count(*)::int ${text}`);
const scanned = (id: string): Promise<unknown> =>
  value(
    database.url,
    `select coalesce(sum(scanned), 0)::int from switchback.data_range where migration = '${id}'`,
  ).catch(() => 0);

/** Lets one batch of 100 rows be done, does something, and lets the rest be done. */
async function between(body: object, work: (id: string) => Promise<unknown>): Promise<string> {
  const gate = new Gate(1);
  const id = randomUUID();
  const running = migrate(
    database.url,
    { laterRows: 'trigger', pace: { maxRows: 100, lockTimeoutMs: 5_000 }, ...body },
    { id, throttle: gate },
  );
  await waitFor(() => scanned(id), { until: (rows) => rows === 100, what: 'the first batch' });
  await work(id);
  gate.open(1_000_000);
  expect(await running).toMatchObject({ state: 'finished' });
  return id;
}

const triggers = (table: string): Promise<unknown> =>
  count(`from pg_trigger where tgrelid = '${table}'::regclass and not tgisinternal`);
const functions = (): Promise<unknown> =>
  count("from pg_proc where pronamespace = 'switchback'::regnamespace");

test.each(['backfill', 'copy'] as const)(
  '%s: every row once, whenever it came, while others insert',
  async (kind) => {
    const table = `busy_${kind}`;
    await run(`create table ${table} (id uuid primary key default gen_random_uuid(), balance int not null default 0);
    create table ${table}_copy (id uuid, balance int);
    insert into ${table} select md5(n::text)::uuid from generate_series(1, 2000) n`);
    let stopped = false;
    let inserted = 0;
    const insert = (): Promise<void> =>
      withClient(database.url, async (client) => {
        while (!stopped) {
          // Two of them in a transaction that lasts.
          await client.query(
            `begin; insert into ${table} default values; insert into ${table} default values`,
          );
          await client.query('commit');
          inserted += 2;
        }
      });
    const applications = [insert(), insert(), insert()];
    await waitFor(() => inserted > 20);
    const body =
      kind === 'backfill'
        ? { kind, table, set: { balance: 'balance + 1' } }
        : { kind, table, to: { table: `${table}_copy` }, columns: { id: 'id', balance: 'balance + 1' } };
    await between({ ...body, parallelism: 2 }, async () => {
      const before = inserted;
      await waitFor(() => inserted > before + 200);
      stopped = true;
      await Promise.all(applications);
    });
    const all = 2_000 + inserted;
    const seen = kind === 'backfill' ? table : `${table}_copy`;
    expect(
      await run(
        `select count(*)::int, count(distinct id)::int as ids, min(balance), max(balance) from ${seen}`,
      ),
    ).toEqual([{ count: all, ids: all, min: 1, max: 1 }]);
    expect([await triggers(table), await functions()]).toEqual([0, 0]);
    await run(`insert into ${table} (id) values ('00000000-0000-0000-0000-000000000000')`);
    expect(await count(`from ${table} where id::text like '00000000-0000-0%' and balance = 0`)).toBe(1);
    expect(await count(`from ${table}_copy where id = '00000000-0000-0000-0000-000000000000'`)).toBe(0);
  },
);

test('the trigger sees what the application’s triggers have made of the row, and only changes rows that need it', async () => {
  await run(`create table shaped (id int primary key, first text, last text, "Full Name" text, at timestamptz, day text);
    create function zz() returns trigger language plpgsql as 'begin new.last := upper(new.last); return new; end';
    create trigger zz before insert on shaped for each row execute function zz();
    insert into shaped select n, 'a', 'b' from generate_series(1, 300) n`);
  const body = {
    ...{ kind: 'backfill', table: 'shaped', where: '"Full Name" is null' },
    set: { 'Full Name': "shaped.first || ' ' || last", day: 'at::date::text' },
  };
  await between(body, async () => {
    await run(`set timezone = 'Asia/Tokyo'; set datestyle = 'German';
      insert into shaped values (1001, 'Ada', 'Lovelace', null, '2026-01-01T20:00:00Z'), (0, 'x', 'y', 'written', now())`);
  });
  expect(
    await run('select "Full Name" as name, day from shaped where id in (0, 1, 1001) order by id'),
  ).toEqual([
    { name: 'written', day: null },
    { name: 'a B', day: null },
    { name: 'Ada LOVELACE', day: '2026-01-01' },
  ]);
});

test('a row for which it cannot be done is the application’s all the same, and in the quarantine', async () => {
  await run(`create table bad (id int primary key, amount text, code varchar(3), other int);
    insert into bad select n, n from generate_series(1, 300) n`);
  const body = { kind: 'backfill', table: 'bad', set: { other: '7', code: 'amount' } };
  const id = await between(body, () => run("insert into bad values (1001, 'much'), (1002, '5')"));
  expect(await run('select * from bad where id > 1000 order by id')).toEqual([
    { id: 1_001, amount: 'much', code: null, other: null },
    { id: 1_002, amount: '5', code: '5', other: 7 },
  ]);
  const target = parseTarget(database.url);
  const listed = await withSession(target, { applicationName: 'test', doing: 'reading' }, (session) =>
    listQuarantined(session, id, { limit: 10 }),
  );
  expect(listed).toMatchObject([
    { key: ['1001'], state: 'open', error: { code: 'STATEMENT_FAILED', details: { sqlstate: '22001' } } },
  ]);
  await run("update bad set amount = '3' where id = 1001");
  const retry = runOf(database.url, { ...body, laterRows: 'trigger' }, { id });
  expect(await retryQuarantined(retry)).toEqual({ mended: 1, open: 0 });
  expect(await count("from bad where id = 1001 and code = '3' and other = 7")).toBe(1);
});

test('a copy takes later rows over as it takes the others', async () => {
  await run(`create table people (id int primary key, first text); create table persons (no int primary key, name text not null);
    insert into people select n, 'n' || n from generate_series(1, 300) n`);
  const body = {
    ...{ kind: 'copy', table: 'people', to: { table: 'persons' }, where: 'id <> 1002', onConflict: 'update' },
    columns: { no: 'id', name: 'upper(first)' },
  };
  const id = await between(body, () =>
    run(
      "insert into persons values (1001, 'old'); insert into people values (1001, 'new'), (1002, 'not'), (1003, null), (0, 'zero')",
    ),
  );
  expect(await run('select * from persons where no = 0 or no > 1000 order by no')).toEqual([
    { no: 0, name: 'ZERO' },
    { no: 1_001, name: 'NEW' },
  ]);
  expect(
    await count(`from switchback.data_quarantine where migration = '${id}' and key = array['1003']`),
  ).toBe(1);
});

test('where it cannot be, it is refused with the reason', async () => {
  await run(`create table refused (id int primary key, a int, twice int generated always as (a * 2) stored, b int); create table refused_copy (id int primary key, a int);
    insert into refused values (1, 1)`);
  await sql(other.url, 'create table refused_copy (id int, a int)');
  const refused = (body: object, options: MigrateOptions = {}) =>
    thrownBy(migrate(database.url, { table: 'refused', laterRows: 'trigger', ...body }, options));
  const columns = { id: 'id', a: 'a' };
  for (const [body, options, says] of [
    [{ kind: 'delete', where: 'true' }, {}, 'gone'],
    [{ kind: 'archive', where: 'true', to: { table: 'refused_copy' }, columns }, {}, 'gone'],
    [
      { kind: 'copy', to: { table: 'refused_copy', database: 'other' }, columns },
      { to: other.url },
      'another database',
    ],
    [{ kind: 'copy', to: { table: 'refused_copy' }, columns, from: 'snapshot' }, {}, 'without a key'],
    [{ kind: 'backfill', set: { b: 'twice' } }, {}, 'twice'],
  ] as const)
    expect(await refused(body, options)).toMatchObject({
      code: 'MAPPING_INVALID',
      message: expect.stringContaining(says),
      details: { for: 'laterRows' },
    });
  expect(await triggers('refused')).toBe(0);
});
