import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readEvents } from '../../src/db/control/job-rows.ts';
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
  const job = await run({ migrations: ['1_users', '2_email'] });
  expect(job).toMatchObject({
    state: 'succeeded',
    result: { proven: 2, migrations: [{ provenOn: 'schema' }, { provenOn: 'schema' }] },
  });
  const { prisma } = place.switchback.deps.control;
  const events = await readEvents(prisma, job.id, 0, 1_000);
  expect(events.filter(({ type }) => type === 'progress').at(-1)).toMatchObject({
    body: { done: 2, total: 2, unit: 'migrations' },
  });
});

test('a role that an earlier migration has made is in the way of nothing', async () => {
  const role = `r_${target.name.slice(-12)}`;
  place.write({
    '1_role': `create role ${role};`,
    '2_users': `create table users (id int primary key); grant select on users to ${role};`,
  });
  try {
    await place.finished(await place.deploy());
    expect(await run({ migrations: ['2_users'] })).toMatchObject({
      state: 'succeeded',
      result: { migrations: [{ migration: '2_users', outcome: 'proven' }] },
    });
    expect(await run({ migrations: ['1_role'] })).toMatchObject({
      state: 'failed',
      error: { detail: expect.stringContaining('1_role, line 1') as string },
    });
  } finally {
    await place.query(`drop owned by ${role}; drop role ${role}`);
  }
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
