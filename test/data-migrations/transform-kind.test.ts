/** Modules that change rows: in place, into another table and another database. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { dryRun } from '../../src/data-migrations/dry-run.ts';
import { listQuarantined } from '../../src/data-migrations/quarantine.ts';
import { retryQuarantined } from '../../src/data-migrations/retry.ts';
import { dataMigrationSpec } from '../../src/data-migrations/spec.ts';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { availableMajors, createDatabase, startServer, type TestDatabase } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Gate, type MigrateOptions, migrate, runOf, sql, thrownBy, value, withClient } from './migrate.ts';

let one: TestDatabase;
let other: TestDatabase;
let transforms: string;
beforeAll(async () => {
  one = await createDatabase();
  other = await createDatabase();
  transforms = await mkdtemp(path.join(inject('runFolder'), 'transforms-'));
});
afterAll(async () => {
  await one.drop();
  await other.drop();
});

const write = (name: string, text: string): Promise<void> =>
  writeFile(path.join(transforms, `${name}.mjs`), text);

const table = (name: string, rows: number): Promise<unknown> =>
  sql(
    one.url,
    `create table ${name} (id bigint primary key, balance int not null, note text not null, kept jsonb); insert into ${name} select n, n, 'n' || n, '{"a": 1.10}' from generate_series(1, ${rows}) n`,
  );

/** Adds one to the balance; `at` runs before, for the rows. */
async function adding(name: string, at = ''): Promise<void> {
  await write(
    name,
    `import { existsSync, writeFileSync } from 'node:fs';
     export default async function (rows, { parameters }) {
       const has = (id) => rows.some((row) => row.id === id);
       ${at}
       for (const row of rows) row.balance += parameters.by ?? 1;
       return rows;
     }`,
  );
}

const run = (body: object, options: MigrateOptions = {}) =>
  migrate(one.url, { kind: 'transform', ...body }, { transforms, ...options });

const quarantined = (id: string, url = one.url) =>
  withSession(parseTarget(url), { applicationName: 'test', doing: 'reading' }, (session) =>
    listQuarantined(session, id, { limit: 100 }),
  );

describe('in place', () => {
  test('every row is changed once, in several ranges, and what is not written stays', async () => {
    await table('t1', 20_000);
    await adding('t1', "for (const row of rows) row.note = 'not written';");
    const outcome = await run({
      ...{ table: 't1', module: 't1', writes: ['balance'], parameters: { by: 7 } },
      ...{ parallelism: 3, pace: { maxRows: 700 } },
    });
    expect(outcome).toMatchObject({ state: 'finished', progress: { scanned: 20_000, changed: 20_000 } });
    expect(
      await sql(
        one.url,
        `select count(*)::int, count(distinct id)::int as ids from t1 where balance = id + 7 and note = 'n' || id and kept::text = '{"a": 1.10}'`,
      ),
    ).toEqual([{ count: 20_000, ids: 20_000 }]);
  });

  test('a row that the application changes while the module has it is read again', async () => {
    await table('t2', 300);
    const began = path.join(transforms, 'began');
    const goOn = path.join(transforms, 'go-on');
    await adding(
      't2',
      `writeFileSync(parameters.began, '');
       while (!existsSync(parameters.goOn)) await new Promise((resolve) => setTimeout(resolve, 5));`,
    );
    const running = run({
      table: 't2',
      module: 't2',
      writes: ['balance', 'note'],
      parameters: { by: 1, began, goOn },
    });
    await waitFor(() => import('node:fs').then(({ existsSync }) => existsSync(began)));
    await sql(one.url, "update t2 set note = 'changed', balance = balance + 1000 where id in (7, 8)");
    await sql(one.url, 'delete from t2 where id = 9');
    await writeFile(goOn, '');
    expect(await running).toMatchObject({ state: 'finished', progress: { changed: 299 } });
    expect(
      await sql(
        one.url,
        "select count(*)::int, count(*) filter (where note = 'changed' and balance = id + 1001)::int as changed, count(*) filter (where note <> 'changed' and balance = id + 1)::int as others from t2",
      ),
    ).toEqual([{ count: 299, changed: 2, others: 297 }]);
  });

  test('rows that are changed all the time are locked in the end', async () => {
    await table('t3', 200);
    await sql(one.url, 'alter table t3 add adds int not null default 0');
    await adding('t3', 'await new Promise((resolve) => setTimeout(resolve, 20));');
    let done = false;
    const running = run({ table: 't3', module: 't3', writes: ['balance'], pace: { maxRows: 20 } }).finally(
      () => {
        done = true;
      },
    );
    await withClient(one.url, async (application) => {
      while (!done)
        await application.query('update t3 set balance = balance + 10, adds = adds + 1 where id % 5 = 0');
    });
    expect(await running).toMatchObject({ state: 'finished', progress: { changed: 200 } });
    expect(await value(one.url, 'select count(*)::int from t3 where balance = id + 1 + 10 * adds')).toBe(200);
  });

  test('a row that a trigger leaves alone is left', async () => {
    await table('t4', 20);
    await sql(
      one.url,
      `create function leave() returns trigger language plpgsql as 'begin return null; end';
       create trigger leave before update on t4 for each row when (old.id = 3) execute function leave()`,
    );
    await adding('t4');
    expect(await run({ table: 't4', module: 't4', writes: ['balance'] })).toMatchObject({
      progress: { scanned: 20, changed: 19 },
    });
  });

  test('a dry run leaves nothing', async () => {
    await table('t5', 50);
    await adding('t5');
    const body = { kind: 'transform', table: 't5', module: 't5', writes: ['balance'] };
    expect(await dryRun(runOf(one.url, body, { transforms }))).toMatchObject({
      batch: { scanned: 50, changed: 50 },
    });
    expect(await value(one.url, 'select count(*)::int from t5 where balance = id')).toBe(50);
  });
});

test.each(availableMajors)(
  'PostgreSQL %i: partitions, and rows that are changed all the time',
  async (major) => {
    const server = await startServer(major);
    onTestFinished(() => server.stop());
    const { url } = await server.createDatabase();
    await sql(
      url,
      `create table parted (id int, part int, balance int not null, adds int not null default 0, primary key (part, id)) partition by list (part);
     create table parted_0 partition of parted for values in (0); create table parted_1 partition of parted for values in (1);
     insert into parted select n, n % 2, n from generate_series(1, 400) n`,
    );
    await adding('parted', 'await new Promise((resolve) => setTimeout(resolve, 20));');
    let done = false;
    const body = {
      kind: 'transform',
      table: 'parted',
      module: 'parted',
      writes: ['balance'],
      pace: { maxRows: 50 },
    };
    const running = migrate(url, body, { transforms }).finally(() => {
      done = true;
    });
    await withClient(url, async (application) => {
      while (!done)
        await application.query('update parted set balance = balance + 10, adds = adds + 1 where id % 7 = 0');
    });
    expect(await running).toMatchObject({ state: 'finished', progress: { changed: 400 } });
    expect(await value(url, 'select count(*)::int from parted where balance = id + 1 + 10 * adds')).toBe(400);
    const later = { kind: 'backfill', table: 'parted', set: { adds: '-1' }, laterRows: 'trigger' };
    const gate = new Gate(1);
    const id = randomUUID();
    const filling = migrate(url, { ...later, pace: { maxRows: 50 } }, { id, throttle: gate });
    await waitFor(
      () =>
        value(url, `select sum(scanned)::int from switchback.data_range where migration = '${id}'`).catch(
          () => 0,
        ),
      {
        until: (rows) => rows === 50,
      },
    );
    await sql(url, 'insert into parted values (1000, 0, 1), (1001, 1, 1)');
    gate.open(1_000);
    await filling;
    expect(await value(url, 'select count(*)::int from parted where adds = -1')).toBe(402);
    await server.stop();
  },
);

describe('into another table', () => {
  const target = `create table t_out (id bigint primary key, first text, last text, length int)`;
  const splitting = `export default (rows, { parameters }) => rows.map(({ id, note }) => ({ id, first: note[0], last: note.slice(1) + parameters.end, length: note.length }))`;

  test('of the same database, only what the condition asks for', async () => {
    await table('t6', 3_000);
    await sql(one.url, target);
    await write('t6', splitting);
    const outcome = await run({
      ...{ table: 't6', module: 't6', reads: ['note'], parameters: { end: '!' }, where: 'id % 3 = 0' },
      ...{ to: { table: 't_out' }, parallelism: 2, pace: { maxRows: 300 } },
    });
    expect(outcome).toMatchObject({ state: 'finished', progress: { scanned: 3_000, changed: 1_000 } });
    expect(
      await value(
        one.url,
        "select count(*)::int from t_out where first = 'n' and last = id || '!' and id % 3 = 0",
      ),
    ).toBe(1_000);
  });

  test('of another database, over what is there already', async () => {
    await table('t7', 2_000);
    await sql(other.url, `${target}; insert into t_out values (5, 'there', 'there', 0)`);
    await write('t7', splitting);
    const outcome = await run(
      {
        ...{ table: 't7', module: 't7', reads: ['note'], parameters: { end: '' }, onConflict: 'update' },
        to: { table: 't_out', database: 'other' },
      },
      { to: other.url },
    );
    expect(outcome).toMatchObject({ state: 'finished', progress: { changed: 2_000 } });
    expect(
      await value(other.url, "select count(*)::int from t_out where first = 'n' and last = id::text"),
    ).toBe(2_000);
  });
});

describe('a module at fault', () => {
  test.each([
    ['throws', "if (has(7n)) throw new Error('no seven');", 'TRANSFORM_FAILED', 'no seven'],
    [
      'returns too few rows',
      'if (has(7n)) return rows.slice(1);',
      'TRANSFORM_FAILED',
      'returned 0 rows for 1 row',
    ],
    [
      'returns what its column cannot hold',
      "for (const row of rows) if (row.id === 7n) row.balance = 'x';",
      'TRANSFORM_VALUE_REFUSED',
      'balance',
    ],
    ['never returns', 'if (has(7n)) for (;;);', 'TRANSFORM_TIMEOUT', '1 s'],
    [
      'eats memory',
      'if (has(7n)) for (const eaten = []; ; ) eaten.push(new Array(100000).fill(0.5));',
      'TRANSFORM_OUT_OF_MEMORY',
      'memory',
    ],
  ])(
    '%s: only the row goes to the quarantine, where that is tolerated',
    { timeout: 120_000 },
    async (what, at, code, says) => {
      const name = `f_${what.replaceAll(' ', '_')}`;
      await table(name, 40);
      await adding(name, at);
      const body = {
        ...{ table: name, module: name, writes: ['balance'] },
        threads: { threads: 1, callMs: what === 'never returns' ? 1_000 : 30_000, memoryMb: 32 },
      };
      expect(await thrownBy(run(body))).toMatchObject({
        code: 'ROWS_AT_FAULT',
        message: expect.stringContaining(says),
        details: { detail: 'id = 7' },
      });
      expect(await value(one.url, `select balance from ${name} where id = 7`)).toBe(7);
      const id = randomUUID();
      await sql(
        one.url,
        `update ${name} set balance = id; update switchback.data_migration set state = 'cancelled', ended_at = now() where relation = '${name}'::regclass; delete from switchback.data_guard where relation = '${name}'::regclass; drop trigger switchback_key on ${name}; drop trigger switchback_later on ${name}`,
      );
      expect(await run({ ...body, toleratedRows: 1 }, { id })).toMatchObject({
        state: 'finished',
        progress: { scanned: 40, changed: 39, quarantined: 1 },
      });
      expect(await quarantined(id)).toMatchObject([{ key: ['7'], state: 'open', error: { code } }]);
      expect(await value(one.url, `select count(*)::int from ${name} where balance = id + 1`)).toBe(39);
      // The module is mended, and the row tried once more.
      await adding(name);
      const request = runOf(one.url, { kind: 'transform', ...body, toleratedRows: 1 }, { transforms, id });
      expect(await retryQuarantined(request)).toEqual({ mended: 1, open: 0 });
      expect(await value(one.url, `select count(*)::int from ${name} where balance = id + 1`)).toBe(40);
    },
  );

  test('what the table refuses is a fault of its row', async () => {
    await table('f_table', 40);
    await sql(one.url, 'alter table f_table add check (balance <> 8) not valid');
    await adding('f_table');
    const id = randomUUID();
    expect(
      await run({ table: 'f_table', module: 'f_table', writes: ['balance'], toleratedRows: 1 }, { id }),
    ).toMatchObject({ progress: { changed: 39, quarantined: 1 } });
    expect(await quarantined(id)).toMatchObject([{ key: ['7'], error: { code: 'STATEMENT_FAILED' } }]);
  });

  test('one that was changed meanwhile is refused', async () => {
    await table('f_changed', 200);
    await adding('f_changed');
    const id = randomUUID();
    const gate = new Gate(1);
    const stop = new AbortController();
    const body = { table: 'f_changed', module: 'f_changed', writes: ['balance'], pace: { maxRows: 50 } };
    const first = thrownBy(run(body, { id, throttle: gate, signal: stop.signal }));
    await waitFor(
      () =>
        value(one.url, `select sum(scanned)::int from switchback.data_range where migration = '${id}'`).catch(
          () => 0,
        ),
      { until: (rows) => rows === 50 },
    );
    stop.abort(new Error('stopped'));
    await first;
    await adding('f_changed', '/* another one */');
    expect(await thrownBy(run(body, { id }))).toMatchObject({ code: 'TRANSFORM_CHANGED' });
    await adding('f_changed');
    expect(await run(body, { id })).toMatchObject({ state: 'finished', progress: { changed: 200 } });
    expect(await value(one.url, 'select count(*)::int from f_changed where balance = id + 1')).toBe(200);
  });
});

test('what cannot be is refused before anything is done', async () => {
  await table('r1', 10);
  await adding('r1');
  const body = { table: 'r1', module: 'r1', writes: ['balance'] };
  const thrown = (given: object, options: MigrateOptions = {}) =>
    thrownBy(run({ ...body, ...given }, options));
  expect(await thrown({ writes: ['id'] })).toMatchObject({
    code: 'MAPPING_INVALID',
    details: { for: 'the column id' },
  });
  expect(await thrown({ writes: ['nothing'] })).toMatchObject({ code: 'MAPPING_INVALID' });
  expect(await thrown({ reads: ['nothing'] })).toMatchObject({ code: 'MAPPING_INVALID' });
  expect(await thrown({ module: 'nothing' })).toMatchObject({ code: 'TRANSFORM_NOT_FOUND' });
  expect(await thrownBy(migrate(one.url, { kind: 'transform', ...body }))).toMatchObject({
    code: 'TRANSFORM_NOT_FOUND',
  });
  await write('r2', 'export const nothing = 1');
  expect(await thrown({ module: 'r2' })).toMatchObject({ code: 'TRANSFORM_UNUSABLE' });
  const parse = (given: object) =>
    dataMigrationSpec.safeParse({ name: 'x', kind: 'transform', ...body, ...given });
  expect(parse({ writes: undefined }).error?.issues[0]).toMatchObject({ path: ['writes'] });
  expect(parse({ onConflict: 'skip' }).error?.issues[0]).toMatchObject({ path: ['onConflict'] });
  expect(parse({ module: '../r1' }).success).toBe(false);
  expect(parse({}).success).toBe(true);
  expect(await value(one.url, 'select count(*)::int from r1 where balance = id')).toBe(10);
});
