/** Pause, resume, cancel, changes while it runs, rows at fault, what a dry run says. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cancelDataMigration, changeControl, readStatus } from '../../src/data-migrations/control.ts';
import { dryRun } from '../../src/data-migrations/dry-run.ts';
import type { DataMigrationEvent } from '../../src/data-migrations/events.ts';
import { listMigrations } from '../../src/data-migrations/progress.ts';
import { listQuarantined } from '../../src/data-migrations/quarantine.ts';
import { retryQuarantined } from '../../src/data-migrations/retry.ts';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Gate, migrate, runOf, sql, thrownBy, value, withClient } from './migrate.ts';

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
const never = new AbortController().signal;
const table = (name: string, rows: number): Promise<unknown> =>
  run(
    `create table ${name} (id bigint primary key, balance int not null default 0, note text); insert into ${name} (id, note) select n, n from generate_series(1, ${rows}) n`,
  );
const add = { kind: 'backfill', set: { balance: 'balance + 1' } } as const;
const triggers = (name: string): Promise<unknown> =>
  value(database.url, `select count(*)::int from pg_trigger where tgrelid = '${name}'::regclass`);

/** Runs with a gate, until the first batch is done. */
async function begun(body: { table: string; pace?: object }, size = 100) {
  const id = randomUUID();
  const gate = new Gate(1);
  const events: DataMigrationEvent[] = [];
  const stop = new AbortController();
  const running: Promise<unknown> = migrate(
    database.url,
    { ...add, ...body, pace: { maxRows: size } },
    { id, throttle: gate, signal: stop.signal, report: (event) => void events.push(event) },
  ).catch((error: unknown) => error);
  await waitFor(
    () =>
      value(
        database.url,
        `select sum(scanned)::int from switchback.data_range where migration = '${id}'`,
      ).catch(() => 0),
    { until: (rows) => rows === size },
  );
  return { id, gate, events, stop, running, target: parseTarget(database.url) };
}

test('a pause ends the run, and it goes on where it was', async () => {
  await table('paused', 1_000);
  const { id, gate, events, running, target } = await begun({ table: 'paused' });
  await changeControl(target, id, { paused: true });
  expect(await running).toMatchObject({ state: 'paused', progress: { changed: 100, ranges: 1 } });
  expect(events).toContainEqual(expect.objectContaining({ type: 'control' }));
  expect(await migrate(database.url, { ...add, table: 'paused' }, { id })).toMatchObject({ state: 'paused' });
  expect(await triggers('paused')).toBe(2);
  await changeControl(target, id, { paused: false });
  gate.open(100);
  expect(await migrate(database.url, { ...add, table: 'paused' }, { id })).toMatchObject({
    state: 'finished',
    progress: { changed: 1_000 },
  });
  expect(await triggers('paused')).toBe(0);
  expect(await thrownBy(changeControl(target, id, { paused: true }))).toMatchObject({
    code: 'DATA_MIGRATION_ENDED',
  });
});

test('an abort rolls the batch back, leaves the place, and ends no later than its statement', async () => {
  await table('aborted', 1_000);
  const { id, gate, running, stop } = await begun({ table: 'aborted' });
  await withClient(database.url, async (writer) => {
    await writer.query('begin; select from aborted where id = 150 for update');
    gate.open(1);
    await waitFor(() =>
      value(
        database.url,
        "select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      ),
    );
    stop.abort(new Error('enough'));
    expect(await running).toMatchObject({ message: 'enough' });
    await writer.query('rollback');
  });
  expect(await value(database.url, 'select sum(balance)::int from aborted')).toBe(100);
  await migrate(database.url, { ...add, table: 'aborted' }, { id });
  expect(await value(database.url, 'select sum(balance)::int from aborted')).toBe(1_000);
});

test('one that is cancelled commits nothing more, and its triggers go', async () => {
  await table('cancelled', 1_000);
  const { id, gate, running, target } = await begun({ table: 'cancelled' });
  await cancelDataMigration({ source: target, written: null }, id, never);
  gate.open(1_000);
  expect(await running).toMatchObject({ code: 'JOB_CANCELLED' });
  expect(await value(database.url, 'select sum(balance)::int from cancelled')).toBe(100);
  expect(await triggers('cancelled')).toBe(0);
  expect((await readStatus(target, id)).row.control.state).toBe('cancelled');
  await cancelDataMigration({ source: target, written: null }, id, never);
});

test('parallelism and pace change while it runs; a range is split for who has none', async () => {
  await table('wider', 4_000);
  const { id, gate, running, events, target } = await begun({ table: 'wider' });
  await changeControl(target, id, { parallelism: 3, pace: { maxRows: 50 } });
  // Batch by batch: else the first worker may be done before the others have their sessions.
  await waitFor(async () => {
    gate.open(1);
    return events.some(({ type }) => type === 'range-split');
  });
  gate.open(10_000);
  expect(await running).toMatchObject({ state: 'finished', progress: { changed: 4_000 } });
  expect(await value(database.url, 'select count(*)::int from wider where balance = 1')).toBe(4_000);
  expect((await readStatus(target, id)).row.control).toMatchObject({
    parallelism: 3,
    pace: { maxRows: 50, targetMs: 250 },
  });
});

test('two data migrations of one table exclude each other, and what it does may not change', async () => {
  await table('taken', 1_000);
  const { id, gate, running, target } = await begun({ table: 'taken' });
  expect(await thrownBy(migrate(database.url, { ...add, table: 'taken' }))).toMatchObject({
    code: 'TABLE_BUSY',
    details: { other: id },
  });
  const open = await withSession(target, { applicationName: 'test' }, (session) =>
    listMigrations(session, 'open'),
  );
  expect(open).toMatchObject([{ id, name: 'test', kind: 'backfill' }]);
  gate.open(1_000);
  await running;
  const next = randomUUID();
  const stopped = await begun({ table: 'taken' });
  await changeControl(target, stopped.id, { paused: true });
  await stopped.running;
  expect(
    await thrownBy(
      migrate(database.url, { kind: 'backfill', table: 'taken', set: { balance: '7' } }, { id: stopped.id }),
    ),
  ).toMatchObject({ code: 'DATA_MIGRATION_CHANGED' });
  await cancelDataMigration({ source: target, written: null }, stopped.id, never);
  expect(await thrownBy(readStatus(target, next))).toMatchObject({ code: 'DATA_MIGRATION_NOT_FOUND' });
});

test('a table that another one takes the place of', async () => {
  await table('swapped', 1_000);
  const { id, gate, running, target } = await begun({ table: 'swapped' });
  await run(
    'alter table swapped rename to swapped_old; create table swapped (like swapped_old including all); insert into swapped select * from swapped_old',
  );
  gate.open(1_000);
  expect(await running).toMatchObject({ code: 'TABLE_CHANGED' });
  await cancelDataMigration({ source: target, written: null }, id, never);
  expect(await triggers('swapped_old')).toBe(0);
});

test('a column that is dropped meanwhile', async () => {
  await table('dropped', 1_000);
  const { id, gate, running, target } = await begun({ table: 'dropped' });
  await run('alter table dropped drop column balance');
  gate.open(1_000);
  expect(await running).toMatchObject({ code: 'TABLE_CHANGED' });
  await cancelDataMigration({ source: target, written: null }, id, never);
});

test('what is validated has all its rows, and is validated again until that succeeds', async () => {
  await table('validated', 10);
  const id = randomUUID();
  const differs = (): Promise<void> => Promise.reject(new Error('differs'));
  expect(
    await thrownBy(migrate(database.url, { ...add, table: 'validated' }, { id, validate: differs })),
  ).toMatchObject({ message: 'differs' });
  expect((await readStatus(parseTarget(database.url), id)).row.control.state).toBe('written');
  let sum: unknown;
  await migrate(
    database.url,
    { ...add, table: 'validated' },
    {
      id,
      async validate() {
        sum = await value(database.url, 'select sum(balance)::int from validated');
      },
    },
  );
  expect(sum).toBe(10);
});

test('vacuum after so many batches', async () => {
  await table('vacuumed', 3_000);
  const events: string[] = [];
  await migrate(
    database.url,
    { ...add, table: 'vacuumed', vacuumEvery: 1, pace: { maxRows: 20 } },
    { report: ({ type }) => void events.push(type) },
  );
  expect(events).toContain('vacuumed');
});

describe('rows at fault', () => {
  const parse = (name: string) => ({ kind: 'backfill', table: name, set: { balance: 'note::int' } });

  test('are found by halving, listed, and tried again', async () => {
    await table('faulty', 2_000);
    await run("update faulty set note = 'x' where id in (1, 77, 78, 2000)");
    const id = randomUUID();
    const outcome = await migrate(
      database.url,
      { ...parse('faulty'), toleratedRows: 4, parallelism: 2 },
      { id },
    );
    expect(outcome).toMatchObject({
      state: 'finished',
      progress: { scanned: 2_000, changed: 1_996, quarantined: 4 },
    });
    const list = await withSession(parseTarget(database.url), { applicationName: 'test' }, (session) =>
      listQuarantined(session, id, { limit: 10 }),
    );
    expect(list.map(({ key }) => Number(key[0])).sort((a, b) => a - b)).toEqual([1, 77, 78, 2_000]);
    expect(list[0]).toMatchObject({
      state: 'open',
      error: { code: 'STATEMENT_FAILED', details: { sqlstate: '22P02' } },
    });
    await run("update faulty set note = '5' where id in (1, 77)");
    const again = runOf(database.url, { ...parse('faulty'), toleratedRows: 4, parallelism: 2 }, { id });
    expect(await retryQuarantined(again)).toEqual({ mended: 2, open: 2 });
    expect(await retryQuarantined(again)).toEqual({ mended: 0, open: 2 });
    expect(await value(database.url, 'select sum(balance)::int from faulty where id in (1, 77)')).toBe(10);
  });

  test('are listed page by page, none left out', async () => {
    await table('paged', 30);
    await run("update paged set note = 'x' where id <= 13");
    const id = randomUUID();
    await migrate(database.url, { ...parse('paged'), toleratedRows: 13 }, { id });
    const keys: number[] = [];
    await withSession(parseTarget(database.url), { applicationName: 'test' }, async (session) => {
      for (let after: string | undefined = '0'; after !== undefined; ) {
        const page = await listQuarantined(session, id, { after, limit: 2 });
        keys.push(...page.map(({ key }) => Number(key[0])));
        after = page.at(-1)?.id;
      }
    });
    expect(keys).toEqual([...Array(13).keys()].map((n) => n + 1));
  });

  test('one more than is tolerated stops it, and names the row; more may be tolerated then', async () => {
    await table('intolerable', 500);
    await run("update intolerable set note = 'x' where id in (100, 300)");
    const id = randomUUID();
    expect(
      await thrownBy(migrate(database.url, { ...parse('intolerable'), toleratedRows: 1 }, { id })),
    ).toMatchObject({
      code: 'ROWS_AT_FAULT',
      details: { detail: 'id = 300', sqlstate: '22P02', tolerated: 1 },
    });
    expect(await value(database.url, 'select count(*)::int from intolerable where balance <> 0')).toBe(298);
    await migrate(database.url, { ...parse('intolerable'), toleratedRows: 2 }, { id });
    expect(await value(database.url, 'select count(*)::int from intolerable where balance <> 0')).toBe(498);
  });

  test.each([
    ['in one database', () => ({ url: database.url, to: undefined, database: undefined })],
    ['across two', () => ({ url: other.url, to: other.url, database: 'other' })],
  ])('of an archive stay where they are, %s', async (_, place) => {
    const { url, to, database: name } = place();
    await run('drop table if exists moving');
    await table('moving', 300);
    await sql(
      url,
      'drop table if exists moved; create table moved (id bigint primary key, note text check (note <> $$7$$)); insert into moved values (9, $$there$$)',
    );
    const id = randomUUID();
    const body = {
      kind: 'archive',
      table: 'moving',
      where: 'true',
      to: { table: 'moved', database: name },
      columns: { id: 'id', note: 'note' },
      toleratedRows: 5,
    };
    expect(await migrate(database.url, body, { id, to })).toMatchObject({
      progress: { changed: 298, quarantined: 2 },
    });
    expect(await run('select id::int from moving order by id')).toEqual([{ id: 7 }, { id: 9 }]);
    await run("update moving set note = 'seven' where id = 7");
    expect(await retryQuarantined(runOf(database.url, body, { id, to }))).toEqual({ mended: 1, open: 1 });
    expect(await run('select id::int from moving order by id')).toEqual([{ id: 9 }]);
    expect(await value(url, 'select note from moved where id = 9')).toBe('there');
  });
});

test('a dry run does the first batch, and leaves nothing', async () => {
  await table('dry', 5_000);
  const fresh = await createDatabase();
  await sql(
    fresh.url,
    'create table dry (id bigint primary key, balance int not null); insert into dry select n, 0 from generate_series(1, 5000) n; analyze dry',
  );
  const outcome = await dryRun(runOf(fresh.url, { ...add, table: 'dry' }));
  expect(outcome).toMatchObject({ key: ['id'], estimate: 5_000, batch: { scanned: 1_000, changed: 1_000 } });
  expect(outcome.estimatedSeconds).toBeGreaterThan(0);
  expect(outcome.plan.join('\n')).toContain('Index Scan using dry_pkey on dry');
  expect(await value(fresh.url, "select count(*)::int from pg_namespace where nspname = 'switchback'")).toBe(
    0,
  );
  expect(await value(fresh.url, 'select sum(balance)::int from dry')).toBe(0);
  await sql(other.url, 'create table dry_copy (id bigint primary key, balance int)');
  const across = await dryRun(
    runOf(
      fresh.url,
      { kind: 'copy', table: 'dry', to: { table: 'dry_copy', database: 'other' } },
      { to: other.url },
    ),
  );
  expect(across).toMatchObject({ batch: { scanned: 1_000, changed: 1_000 }, plan: [] });
  expect(await value(other.url, 'select count(*)::int from dry_copy')).toBe(0);
  await fresh.drop();
});
