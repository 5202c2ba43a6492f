import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rollbackTest } from '../../src/jobs/kinds/rollback-test.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { type DeployPlace, openDeployPlace } from '../acceptance/deploy-place.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

let target: TestDatabase;
let place: DeployPlace;
let worker: RunningWorker;

beforeEach(async () => {
  target = await createDatabase();
  place = await openDeployPlace(target.url, { policy: { backup: { never: 'tested elsewhere' } } });
  worker = await startWorker(place.switchback.deps, { heartbeatMs: 200, staleMs: 5_000, repairMs: 200 });
});
afterEach(async () => {
  await worker.stop();
  await place.close();
  await target.drop();
});

const run = async (
  payload: { migrations?: string[]; rows?: 'none' | 'generated' | 'sample' | 'full' } = {},
) => place.finished(await place.ask(rollbackTest, { rows: 'none', ...payload }));

test('what is pending is proven on the live schema, and the database stays as it is', async () => {
  place.write({ '1_users': 'create table users (id int primary key, name text);' });
  await place.finished(await place.deploy());
  place.write({ '2_email': 'alter table users add column email text;' });
  await place.query("insert into users values (1, 'ann')");
  const job = await run({ rows: 'full' });
  expect(job).toMatchObject({
    state: 'succeeded',
    result: { proven: 1, migrations: [{ migration: '2_email', outcome: 'proven', provenOn: 'full' }] },
  });
  expect(await place.query('select * from users')).toEqual([{ id: 1, name: 'ann' }]);
});

test('what is applied is proven on what those before it make, when it is named', async () => {
  place.write({
    '1_users': 'create table users (id int primary key, name text);',
    '2_email': 'alter table users add column email text;',
  });
  await place.finished(await place.deploy());
  expect(await run({ migrations: ['1_users', '2_email'] })).toMatchObject({
    state: 'succeeded',
    result: { proven: 2 },
  });
});

test('a way back that does not hold fails it, and says what differs', async () => {
  place.write({ '1_users': 'create table users (id int primary key);' });
  writeFileSync(path.join(place.migrations, '1_users', 'rollback.sql'), 'select 1;');
  const job = await run();
  expect(job).toMatchObject({
    state: 'failed',
    error: {
      code: 'ROLLBACK_NOT_PROVEN',
      detail: expect.stringContaining('public.users') as string,
      details: { migrations: [{ outcome: 'wrong', source: 'rollback.sql' }] },
    },
  });
});

test('a migration that nobody knows is an error', async () => {
  place.write({ '1_users': 'create table users (id int primary key);' });
  expect(await run({ migrations: ['2_typo'] })).toMatchObject({
    state: 'failed',
    error: { code: 'MIGRATION_NOT_FOUND' },
  });
});
