/** What may come between reading a row and writing it, one case after the other; and rows that do not fit. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cancelDataMigration } from '../../../src/data-migrations/control.ts';
import { dryRun } from '../../../src/data-migrations/dry-run.ts';
import { dropOld, undoSwap } from '../../../src/data-migrations/shadow/undo.ts';
import { parseTarget } from '../../../src/db/target.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { waitFor } from '../../support/wait.ts';
import { Gate, migrate, runOf, sql, thrownBy, value, withClient } from '../migrate.ts';
import { atPlace, exchange, factsOf, swapOf } from './tables.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  // A constraint of the new form that waits, so that something can come between.
  await run(`create function wait_at(n bigint) returns boolean language plpgsql as $$
    begin if n = 1 then perform pg_advisory_xact_lock_shared(77); end if; return true; end $$`);
});
afterAll(() => database.drop());

const run = (text: string): Promise<Record<string, unknown>[]> => sql(database.url, text);
const leftovers = (): Promise<Record<string, unknown>[]> =>
  run(`select 'trigger' as kind, tgname::text as name from pg_trigger where tgname like 'switchback%'
    union all select 'function', proname from pg_proc where pronamespace = to_regnamespace('switchback')
    union all select 'schema', nspname from pg_namespace where nspname like 'switchback_vault_shadow%'
    union all select 'notes', relname from pg_class where relnamespace = to_regnamespace('switchback') and relname like 'again%'`);

test('a row that is deleted between the reading of its batch and its writing stays away', async () => {
  await run(
    'create table between_them (id int primary key, n int); insert into between_them select n, n from generate_series(1, 20) n',
  );
  await withClient(database.url, async (holder) => {
    await holder.query('begin; select pg_advisory_xact_lock(77)');
    const running = exchange(database.url, {
      table: 'between_them',
      alter: 'alter column id type bigint, add constraint slow check (wait_at(id))',
    });
    await waitFor(
      () =>
        value(
          database.url,
          "select count(*) > 0 from pg_locks where locktype = 'advisory' and objid = 77 and not granted",
        ),
      { what: 'the batch' },
    );
    await run('delete from between_them where id = 5; update between_them set n = 600 where id = 6');
    // This one is locked already: its deletion comes after the batch.
    const later = run('delete from between_them where id = 1');
    await waitFor(
      () =>
        value(
          database.url,
          "select count(*) > 0 from pg_stat_activity where datname = current_database() and query = 'delete from between_them where id = 1' and wait_event_type = 'Lock'",
        ),
      { what: 'the delete' },
    );
    await holder.query('commit');
    await later;
    await running;
  });
  expect(await run('select count(*)::int as rows, sum(n)::int as sum from between_them')).toEqual([
    { rows: 18, sum: 210 - 1 - 5 - 6 + 600 },
  ]);
});

test('a vacuum of the copy that is under way when it is complete is waited for', async () => {
  await run(
    'create table vacuumed (id int primary key, n int); insert into vacuumed select n, n from generate_series(1, 100) n',
  );
  await withClient(database.url, async (vacuum) => {
    let over = Promise.resolve<unknown>(null);
    const outcome = await migrate(
      database.url,
      {
        kind: 'shadow',
        table: 'vacuumed',
        alter: 'alter column id type bigint',
        pace: { lockTimeoutMs: 200 },
      },
      {
        async validate({ written }) {
          await vacuum.query(`begin; lock table ${written.sql} in share update exclusive mode`);
        },
        report({ type }) {
          if (type === 'retrying') over = vacuum.query('commit');
        },
      },
    );
    await over;
    expect(outcome).toMatchObject({ state: 'finished' });
  });
  expect(await value(database.url, 'select pg_typeof(max(id))::text from vacuumed')).toBe('bigint');
});

test('a transaction that does not see what was copied since it began leaves a note', async () => {
  await run(
    'create table snapshot (id int primary key, n int); insert into snapshot select n, n from generate_series(1, 100) n',
  );
  const gate = new Gate(1);
  const running = exchange(
    database.url,
    { table: 'snapshot', alter: 'alter column id type bigint', pace: { maxRows: 40 } },
    { throttle: gate },
  );
  const copied = (rows: number): Promise<unknown> =>
    waitFor(
      () =>
        value(
          database.url,
          'select coalesce(sum(scanned), 0)::int from switchback.data_range join switchback.data_migration m on m.id = migration where m.ended_at is null',
        ).catch(() => 0),
      { until: (seen) => seen === rows },
    );
  await copied(40);
  await withClient(database.url, async (client) => {
    await client.query('begin isolation level repeatable read; select count(*) from snapshot');
    gate.open(1);
    await copied(80);
    await client.query('delete from snapshot where id = 50');
    await client.query('update snapshot set n = 500 where id = 51');
    await client.query('update snapshot set n = 100 where id = 10');
    await client.query('commit');
  });
  gate.open(1_000);
  await running;
  expect(await run('select count(*)::int as rows, sum(n)::int as sum from snapshot')).toEqual([
    { rows: 99, sum: 5_050 - 50 - 51 + 500 + 90 },
  ]);
});

test('a trigger of the application that writes the row once more does not make the mirror stale', async () => {
  await run(`create table nested (id int primary key, number int generated always as identity, n int, seen int not null default 0); insert into nested (id, n) select n, n from generate_series(1, 50) n;
    create function again() returns trigger language plpgsql as $$ begin update nested set seen = seen + 1 where id = new.id; return null; end $$;
    create function back() returns trigger language plpgsql as $$ begin insert into nested (id, n) values (old.id, 1000); return null; end $$;
    create trigger back after delete on nested for each row when (old.id = 7) execute function back();
    create trigger zz_again after insert or update of n on nested for each row execute function again()`);
  const gate = new Gate(1);
  const running = exchange(
    database.url,
    { table: 'nested', alter: 'alter column id type bigint', pace: { maxRows: 20 } },
    { throttle: gate },
  );
  await waitFor(() =>
    value(
      database.url,
      'select count(*) > 0 from switchback.data_range join switchback.data_migration m on m.id = migration where m.ended_at is null and scanned = 20',
    ).catch(() => false),
  );
  await run(
    'update nested set n = n + 1; insert into nested (id, n) values (900, 1); update nested set number = default where id = 9; delete from nested where id = 7',
  );
  gate.open(1_000);
  await running;
  expect(
    await run('select count(*)::int as rows, sum(n)::int as sum, sum(seen)::int as seen from nested'),
  ).toEqual([{ rows: 51, sum: 1_275 + 50 + 1 - 8 + 1_000, seen: 51 }]);
});

describe('rows that do not fit', () => {
  test('stop the swap, not the application, until they are mended', async () => {
    await run(
      'create table unfit (id int primary key, t text not null); insert into unfit select n, n from generate_series(1, 50) n',
    );
    const gate = new Gate(1);
    const id = randomUUID();
    const body = {
      table: 'unfit',
      alter: 'alter column t type int using t::int',
      columns: { t: { forth: 't::int' } },
      pace: { maxRows: 20 },
    };
    const running = thrownBy(exchange(database.url, body, { id, throttle: gate }));
    await waitFor(() =>
      value(
        database.url,
        `select sum(scanned) = 20 from switchback.data_range where migration = '${id}'`,
      ).catch(() => false),
    );
    await run(
      "insert into unfit values (60, 'sixty'), (61, '61'); update unfit set t = 'three' where id = 3",
    );
    gate.open(1_000);
    expect(await running).toMatchObject({ code: 'ROWS_AT_FAULT' });
    await run("update unfit set t = '3' where id = 3; update unfit set t = '60' where id = 60");
    await exchange(database.url, body, { id });
    expect(await value(database.url, 'select sum(t)::int from unfit')).toBe(1_275 + 60 + 61);
  });

  test('stop the way back, not the application', async () => {
    await run(
      'create table big (id int primary key, n int); insert into big select n, n from generate_series(1, 50) n',
    );
    const id = randomUUID();
    await exchange(
      database.url,
      { table: 'big', alter: 'alter column id type bigint, alter column n type bigint' },
      { id },
    );
    await run(
      'insert into big values (3000000000, 1), (60, 3000000000), (61, 61); update big set n = 3000000001 where id = 1; delete from big where id = 3000000000',
    );
    const undo = (): Promise<void> => atPlace(database.url, (session) => undoSwap(session, swapOf(id)));
    expect(await thrownBy(undo())).toMatchObject({ code: 'ROWS_AT_FAULT' });
    expect(await value(database.url, 'select pg_typeof(max(n))::text from big')).toBe('bigint');
    await run('update big set n = 0 where n > 1000');
    await undo();
    expect(
      await run(
        'select count(*)::int as rows, sum(n)::int as sum, pg_typeof(max(id))::text as type from big',
      ),
    ).toEqual([{ rows: 52, sum: 1_275 - 1 + 61, type: 'integer' }]);
  });
});

test('the end of the retention lets go of the table, which can be altered before as well', async () => {
  await run(
    'create table ended (id int primary key, n int, gone int); insert into ended select n, n from generate_series(1, 50) n',
  );
  const id = randomUUID();
  await exchange(database.url, { table: 'ended', alter: 'alter column id type bigint' }, { id });
  await run('alter table ended drop column gone, add column more int; insert into ended values (70, 7, 7)');
  await atPlace(database.url, (session) => dropOld(session, id));
  await atPlace(database.url, (session) => dropOld(session, id));
  await run('insert into ended values (71, 8, 8)');
  expect(await value(database.url, `select state from switchback.shadow where id = '${id}'`)).toBe('dropped');
  expect(await thrownBy(atPlace(database.url, (session) => undoSwap(session, swapOf(id))))).toMatchObject({
    code: 'SWAP_NOT_UNDOABLE',
  });
});

test('cancelled, nothing of it is left; a dry run leaves nothing either', async () => {
  await run(
    'create table cancelled (id int primary key, n int); insert into cancelled select n, n from generate_series(1, 50) n',
  );
  const before = { facts: await factsOf(database.url), left: await leftovers() };
  const body = { kind: 'shadow', table: 'cancelled', alter: 'alter column id type bigint' };
  expect(await dryRun(runOf(database.url, body))).toMatchObject({ batch: { scanned: 50, changed: 50 } });
  expect(await leftovers()).toEqual(before.left);
  const id = randomUUID();
  const abort = new AbortController();
  const running = thrownBy(
    exchange(
      database.url,
      { ...body, pace: { maxRows: 20 } },
      { id, throttle: new Gate(1), signal: abort.signal },
    ),
  );
  await waitFor(() =>
    value(
      database.url,
      `select sum(scanned) = 20 from switchback.data_range where migration = '${id}'`,
    ).catch(() => false),
  );
  abort.abort(new Error('enough'));
  await running;
  await cancelDataMigration(
    { source: parseTarget(database.url), written: null },
    id,
    new AbortController().signal,
  );
  expect(await leftovers()).toEqual(before.left);
  expect(await factsOf(database.url)).toEqual(before.facts);
});
