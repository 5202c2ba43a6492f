/** What a data migration's validation decides, and what a worker that dies in the middle leaves. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { readJob } from '../../src/jobs/jobs.ts';
import { kinds } from '../../src/jobs/kinds/index.ts';
import { repair } from '../../src/jobs/repair.ts';
import { sql, value } from '../data-migrations/migrate.ts';
import { waitFor } from '../support/wait.ts';
import { type DataMigrationPlace, openDataMigrationPlace } from './data-migration-place.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const modules = mkdtempSync(path.join(inject('runFolder'), 'transforms-'));
writeFileSync(
  path.join(modules, 'double.mjs'),
  'export default (rows) => rows.map(({ id, n }) => ({ id, n: n * 2 }));',
);

let place: DataMigrationPlace;
beforeAll(async () => {
  place = await openDataMigrationPlace({ transforms: modules });
});
afterAll(() => place.close());

const orders = (text: string) => sql(place.orders.url, text);

/** As an application reads it. */
const flag = async (key: string): Promise<unknown> => {
  const answer = await place.call('POST', `/ofrep/v1/evaluate/flags/${key}`, {
    context: { targetingKey: 'a', database: 'orders' },
  });
  return answer.status === 200 ? answer.body.value : answer.body.errorCode;
};

test('a worker that is killed in the middle: another one goes on, and every row is changed once', async () => {
  await orders(
    'create table accounts (id int primary key, balance int not null); insert into accounts select n, n from generate_series(1, 2000) n',
  );
  let child = await place.workApart();
  const { id, job } = await place.ask({
    ...{ kind: 'backfill', table: 'accounts', set: { balance: 'balance + 1' }, parallelism: 2 },
    pace: { maxRows: 20, rowsPerSecond: 400 },
  });
  const { deps } = place.switchback;
  for (const [attempt, least] of [
    [1, 1],
    [2, 600],
  ] as const) {
    await waitFor(async () => Number((await place.shown(id)).progress?.scanned) >= least, {
      what: 'a batch',
    });
    child.kill('SIGKILL');
    child = await place.workApart();
    // What every worker does now and then.
    const taken = async (): Promise<boolean> => {
      await repair(deps, kinds, { staleMs: 1_500 });
      return (await readJob(deps.control, job)).attempt > attempt;
    };
    await waitFor(taken, { what: 'another worker' });
  }
  await place.call('PATCH', `/api/data-migrations/${id}`, { pace: { rowsPerSecond: null } });
  expect(await place.inState(id, 'finished', 'failed')).toMatchObject({
    ...{ state: 'finished', job: { id: job, state: 'succeeded' } },
    progress: { scanned: 2_000, changed: 2_000, quarantined: 0 },
    validation: { passed: true },
  });
  expect(await value(place.orders.url, 'select count(*)::int from accounts where balance = id + 1')).toBe(
    2_000,
  );
});

describe('the gate', () => {
  beforeAll(async () => {
    await place.work();
  });

  test('a flag turns on when the validation passes, and off when another run of it is cancelled', async () => {
    await orders(
      'create table flagged (id int primary key, n int); insert into flagged select n from generate_series(1, 50) n',
    );
    const spec = { name: 'flagged', kind: 'backfill', table: 'flagged', set: { n: 'id' } };
    const first = await place.ask({ ...spec, pace: { maxRows: 1, rowsPerSecond: 20 } }, { flag: 'read-n' });
    expect(await flag('read-n')).toBe(false);
    await place.inState(first.id, 'finished');
    expect(await flag('read-n')).toBe(true);

    const second = await place.ask({ ...spec, pace: { maxRows: 1, rowsPerSecond: 1 } }, { flag: 'read-n' });
    expect(await flag('read-n')).toBe(false);
    await place.call('POST', `/api/data-migrations/${second.id}/cancel`);
    await place.inState(second.id, 'cancelled');
    expect(await flag('read-n')).toBe(false);
    const other = { database: 'orders', spec: { ...spec, name: 'another' }, flag: 'read-n' };
    expect(await place.call('POST', '/api/data-migrations', other)).toMatchObject({
      ...{ status: 409, body: { code: 'FLAG_TAKEN' } },
    });
  });

  test('rows that were missed fail it; put right and resumed, it passes', async () => {
    // A trigger of the application's that lets an update of one row fall by the wayside.
    await orders(`create table missed (id int primary key, n int); insert into missed select n from generate_series(1, 50) n;
      create function missed_skip() returns trigger language plpgsql as $$ begin return case new.id when 7 then null else new end; end $$;
      create trigger skip before update on missed for each row execute function missed_skip()`);
    const { id } = await place.ask(
      { kind: 'backfill', table: 'missed', set: { n: 'id' }, where: 'n is null' },
      { flag: 'read-missed' },
    );
    expect(await place.inState(id, 'failed', 'finished')).toMatchObject({
      ...{ state: 'failed', job: { error: { code: 'ROWS_LEFT' } } },
      validation: { passed: false, by: 'rows-left', left: 1, listed: [['7']] },
    });
    expect(await flag('read-missed')).toBe(false);
    // What is the application's is none of its business: a row of later, and one that was emptied again.
    await orders('insert into missed values (51, null)');
    await orders(
      'drop trigger skip on missed; update missed set n = null where id = 8; update missed set n = 7 where id = 7',
    );
    await place.call('POST', `/api/data-migrations/${id}/resume`);
    expect(await place.inState(id, 'finished', 'failed')).toMatchObject({
      ...{ state: 'finished', validation: { passed: true, left: 0 } },
    });
    expect(await flag('read-missed')).toBe(true);
  });

  test('a copy in another database is compared in full', async () => {
    await orders(
      "create table people (id int primary key, name varchar(20), born date); insert into people select n, 'p' || n, '2000-01-01' from generate_series(1, 300) n",
    );
    await sql(
      place.crm.url,
      `create table person (no bigint primary key, name text, born timestamp);
       create function shout() returns trigger language plpgsql as $$ begin new.name = upper(new.name); return new; end $$;
       create trigger shout before insert on person for each row when (new.no = 5) execute function shout()`,
    );
    const { id, job } = await place.ask({
      ...{ kind: 'copy', table: 'people', to: { database: 'crm', table: 'person' } },
      columns: { no: 'id', name: 'name', born: 'born' },
    });
    const failed = await place.inState(id, 'failed', 'finished');
    expect(failed).toMatchObject({
      ...{ state: 'failed', writtenDatabase: 'crm', job: { error: { code: 'DATA_DIFFERS' } } },
      validation: {
        ...{ passed: false, by: 'comparison' },
        comparison: {
          differences: { total: 1, listed: [{ kind: 'changed', key: { no: '5' }, columns: ['name'] }] },
        },
      },
    });
    expect(JSON.stringify(await place.events(job))).not.toContain('P5');
    await sql(place.crm.url, "update person set name = 'p5' where no = 5");
    await place.call('POST', `/api/data-migrations/${id}/resume`);
    expect(await place.inState(id, 'finished', 'failed')).toMatchObject({
      ...{ state: 'finished', progress: { changed: 300 }, validation: { passed: true } },
    });
  });

  test('a transform is validated in place by its rows, elsewhere by their keys', async () => {
    await orders(`create table doubled (id int primary key, n int); insert into doubled select n, n from generate_series(1, 200) n;
      create table elsewhere (id int primary key, n int)`);
    const module = { kind: 'transform', module: 'double', table: 'doubled' };
    const into = await place.ask({ ...module, to: { table: 'elsewhere' } });
    expect(await place.inState(into.id, 'finished', 'failed')).toMatchObject({
      ...{
        state: 'finished',
        validation: { passed: true, by: 'comparison', comparison: { rows: { source: 200 } } },
      },
    });
    const inPlace = await place.ask({ ...module, writes: ['n'] });
    expect(await place.inState(inPlace.id, 'finished', 'failed')).toMatchObject({
      ...{ state: 'finished', progress: { changed: 200 }, validation: { passed: true, by: 'rows-left' } },
    });
    expect(
      await orders('select sum(n)::int as here, (select sum(n)::int from elsewhere) as there from doubled'),
    ).toEqual([{ here: 40_200, there: 40_200 }]);
  });

  test('what was moved and what was deleted is gone, but for what came later', async () => {
    await orders(
      'create table old (id int primary key, n int); insert into old select n, n from generate_series(1, 100) n; create table archived (like old including all)',
    );
    const moved = await place.ask({
      kind: 'archive',
      table: 'old',
      where: 'id <= 40',
      to: { table: 'archived' },
    });
    expect(await place.inState(moved.id, 'finished', 'failed')).toMatchObject({
      ...{ state: 'finished', progress: { changed: 40 }, validation: { passed: true, by: 'rows-left' } },
    });
    const gone = await place.ask({ kind: 'delete', table: 'old', where: 'id <= 60' });
    await place.inState(gone.id, 'finished');
    expect(
      await orders(
        'select (select count(*)::int from old) as old, (select count(*)::int from archived) as archived',
      ),
    ).toEqual([{ old: 40, archived: 40 }]);
  });
});
