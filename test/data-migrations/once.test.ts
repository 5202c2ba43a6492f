/** Each row once: rows that come, go and change meanwhile, and workers that are believed to be dead. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Gate, migrate, sql, thrownBy, value, withClient } from './migrate.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const add = { kind: 'backfill', set: { balance: 'balance + 1' } } as const;
const run = (text: string): Promise<Record<string, unknown>[]> => sql(database.url, text);
const scanned = (id: string): Promise<unknown> =>
  value(
    database.url,
    `select coalesce(sum(scanned), 0)::int from switchback.data_range where migration = '${id}'`,
  );

/** Lets one batch of `size` rows be done, does something, and lets the rest be done. */
async function between(table: string, size: number, work: () => Promise<unknown>): Promise<void> {
  const gate = new Gate(1);
  const id = randomUUID();
  const running = migrate(database.url, { ...add, table, pace: { maxRows: size } }, { id, throttle: gate });
  await waitFor(() => scanned(id).catch(() => 0), {
    until: (rows) => rows === size,
    what: 'the first batch',
  });
  await work();
  gate.open(1_000_000);
  await running;
}

test('rows that are inserted meanwhile are the application’s, behind the cursor and before it', async () => {
  await run(`create table later (id uuid primary key, balance int not null default 0, late boolean not null default false);
    insert into later select md5(n::text)::uuid from generate_series(1, 2000) n`);
  await between('later', 500, () =>
    run("insert into later (id, late) select md5('late ' || n)::uuid, true from generate_series(1, 2000) n"),
  );
  expect(await run('select late, balance, count(*)::int from later group by 1, 2 order by 1')).toEqual([
    { late: false, balance: 1, count: 2_000 },
    { late: true, balance: 0, count: 2_000 },
  ]);
});

test('so are those whose keys were drawn before the start', async () => {
  await run(`create table drawn (id bigint primary key, balance int not null default 0);
    insert into drawn select n * 2 from generate_series(1, 1000) n`);
  await between('drawn', 100, () => run('insert into drawn values (1999, 50), (2001, 50), (1, 50)'));
  expect(await run('select balance, count(*)::int from drawn group by 1 order by 1')).toEqual([
    { balance: 1, count: 1_000 },
    { balance: 50, count: 3 },
  ]);
});

test('of a row that is deleted and comes back, the one that comes back is later', async () => {
  await run(
    `create table back (id bigint primary key, balance int not null default 0); insert into back select n from generate_series(1, 200) n`,
  );
  await between('back', 50, () =>
    run(
      'delete from back where id = 150; insert into back values (150, 70); delete from back where id in (160, 200)',
    ),
  );
  expect(await run('select balance, count(*)::int from back group by 1 order by 1')).toEqual([
    { balance: 1, count: 197 },
    { balance: 70, count: 1 },
  ]);
});

test('a transaction that was open at the start is waited for, and its rows were there', async () => {
  await run(
    `create table open (id bigint primary key, balance int not null default 0); insert into open values (1), (1000)`,
  );
  await withClient(database.url, async (writer) => {
    await writer.query('begin; insert into open values (500), (2000)');
    const running = migrate(database.url, { ...add, table: 'open', pace: { lockTimeoutMs: 30_000 } });
    await waitFor(() =>
      value(
        database.url,
        "select count(*)::int from pg_locks where relation = 'open'::regclass and not granted",
      ),
    );
    await writer.query('commit');
    await running;
  });
  expect(await value(database.url, 'select sum(balance)::int from open')).toBe(4);
});

test('keys may not change meanwhile; other columns may', async () => {
  await run(
    `create table keys (id bigint primary key, balance int not null default 0); insert into keys select n from generate_series(1, 100) n`,
  );
  await between('keys', 10, async () => {
    expect(await thrownBy(run('update keys set id = 1000 where id = 50'))).toMatchObject({
      code: '23001',
      message: 'the key (id) of public.keys may not change while the data migration "test" goes through it',
    });
    await run('update keys set id = id, balance = balance + 5 where id in (5, 50)');
  });
  expect(await value(database.url, 'select sum(balance)::int from keys')).toBe(110);
  await run('update keys set id = 1000 where id = 50');
});

test('a worker that is believed to be dead changes nothing any more', async () => {
  await run(
    `create table zombie (id bigint primary key, balance int not null default 0); insert into zombie select n from generate_series(1, 1000) n`,
  );
  const id = randomUUID();
  const body = { ...add, table: 'zombie', pace: { maxRows: 100, lockTimeoutMs: 30_000 } };
  const gate = new Gate(1);
  const first = thrownBy(migrate(database.url, body, { id, throttle: gate }));
  await waitFor(() => scanned(id).catch(() => 0), { until: (rows) => rows === 100 });
  // Its second batch waits for a row, as one in a hanging machine would.
  const later = new Gate(0);
  const second = withClient(database.url, async (writer) => {
    await writer.query('begin; select from zombie where id = 150 for update');
    gate.open(1);
    await waitFor(() =>
      value(
        database.url,
        "select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%zombie%'",
      ),
    );
    const running = migrate(database.url, body, { id, throttle: later });
    await waitFor(
      () => value(database.url, `select epoch::int from switchback.data_migration where id = '${id}'`),
      { until: (epoch) => epoch === 2 },
    );
    await writer.query('commit');
    return running;
  });
  expect(await first).toMatchObject({ code: 'JOB_SUPERSEDED' });
  later.open(1_000);
  expect(await second).toMatchObject({ state: 'finished', progress: { scanned: 1_000, changed: 1_000 } });
  expect(await value(database.url, 'select count(*)::int from zombie where balance = 1')).toBe(1_000);
});

test('an epoch that is not ours any more keeps a batch from changing anything', async () => {
  await run(
    `create table fence (id bigint primary key, balance int not null default 0); insert into fence select n from generate_series(1, 1000) n`,
  );
  const gate = new Gate(1);
  const id = randomUUID();
  const running = thrownBy(
    migrate(database.url, { ...add, table: 'fence', pace: { maxRows: 100 } }, { id, throttle: gate }),
  );
  await waitFor(() => scanned(id).catch(() => 0), { until: (rows) => rows === 100 });
  await run(
    `update switchback.data_range set epoch = epoch + 1 where migration = '${id}'; update switchback.data_migration set epoch = epoch + 1 where id = '${id}'`,
  );
  gate.open(1_000);
  expect(await running).toMatchObject({ code: 'JOB_SUPERSEDED' });
  expect(await value(database.url, 'select sum(balance)::int from fence')).toBe(100);
});

test('one that has finished says so when it is run again', async () => {
  await run(
    `create table twice (id bigint primary key, balance int not null default 0); insert into twice values (1), (2)`,
  );
  const id = randomUUID();
  await migrate(database.url, { ...add, table: 'twice' }, { id });
  expect(await migrate(database.url, { ...add, table: 'twice' }, { id })).toMatchObject({
    state: 'finished',
    progress: { changed: 2 },
  });
  expect(await value(database.url, 'select sum(balance)::int from twice')).toBe(2);
});

test('what was written and may not have been removed is written again as it is by now', async () => {
  const other = await createDatabase();
  await run(
    `create table doubt (id bigint primary key, note text); insert into doubt select n, 'old' from generate_series(1, 300) n`,
  );
  await sql(
    other.url,
    "create table doubt (id bigint primary key, note text); insert into doubt values (1, 'there')",
  );
  const id = randomUUID();
  const body = {
    ...{ kind: 'archive', table: 'doubt', where: 'true', to: { table: 'doubt', database: 'other' } },
    ...{ toleratedRows: 1, pace: { maxRows: 100 } },
  };
  const stop = new AbortController();
  const gate = new Gate(2);
  const place = { id, to: other.url, throttle: gate, signal: stop.signal };
  const first = thrownBy(migrate(database.url, body, place));
  const batches = `select coalesce(sum(batches), 0)::int from switchback.data_range`;
  // Of the row that is there already several batches were rolled back.
  for (let seen = 0; seen < 2; seen = Number(await value(other.url, batches).catch(() => 0))) gate.open(1);
  stop.abort(new Error('killed'));
  await first;
  // As if the server that is read had lost the last batch's transaction, and the application had then changed a row.
  const [last] = await sql(
    other.url,
    'select previous[1]::int as previous, after[1]::int as after from switchback.data_range',
  );
  await run(`alter table doubt disable trigger switchback_later;
    insert into doubt select n, case n when ${Number(last?.after)} then 'new' else 'old' end from generate_series(${Number(last?.previous) + 1}, ${Number(last?.after)}) n;
    alter table doubt enable always trigger switchback_later`);
  await sql(other.url, 'update switchback.data_range set settled = false');
  await migrate(database.url, body, { id, to: other.url });
  expect(await run('select id::int, note from doubt')).toEqual([{ id: 1, note: 'old' }]);
  expect(
    await sql(
      other.url,
      "select count(*)::int, min(note) filter (where id = 1) as one, (min(id) filter (where note = 'new'))::int as new from doubt",
    ),
  ).toEqual([{ count: 300, one: 'there', new: last?.after }]);
  await other.drop();
});

test('what a commit would refuse where rows are removed is a fault of its row', async () => {
  const other = await createDatabase();
  await run(`create table parent (id bigint primary key); insert into parent select n from generate_series(1, 50) n;
    create table child (parent bigint references parent deferrable initially deferred); insert into child values (20)`);
  await sql(other.url, 'create table parent (id bigint primary key)');
  const body = {
    kind: 'archive',
    table: 'parent',
    where: 'true',
    to: { table: 'parent', database: 'other' },
    toleratedRows: 1,
  };
  expect(await migrate(database.url, body, { to: other.url })).toMatchObject({
    progress: { changed: 49, quarantined: 1 },
  });
  expect(await run('select id::int from parent')).toEqual([{ id: 20 }]);
  expect(await value(other.url, 'select count(*)::int from parent')).toBe(49);
  await other.drop();
});

test('a partitioned table', async () => {
  await run(`create table parts (id bigint, day date, balance int not null default 0, primary key (id, day)) partition by range (day);
    create table parts_1 partition of parts for values from ('2020-01-01') to ('2020-01-15'); create table parts_2 partition of parts default;
    insert into parts select n, date '2020-01-01' + n % 30 from generate_series(1, 1000) n`);
  await between('parts', 100, () =>
    run(
      "insert into parts select n, '2020-01-07', 50 from generate_series(0, 1000) n on conflict do nothing",
    ),
  );
  expect(await value(database.url, 'select count(*)::int from parts where balance = 1')).toBe(1_000);
  expect(await value(database.url, 'select count(*)::int from parts where balance not in (1, 50)')).toBe(0);
});
