import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { enqueue } from '../../src/jobs/enqueue.ts';
import { openEventTails } from '../../src/jobs/events.ts';
import { waitForJob } from '../../src/jobs/jobs.ts';
import { deployment } from '../../src/jobs/kinds/deployment.ts';
import { recovery } from '../../src/jobs/kinds/recovery.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';

let target: TestDatabase;
let switchback: TestSwitchback;
let worker: RunningWorker;
let migrations: string;

beforeEach(async () => {
  target = await createDatabase();
  switchback = await openSwitchback({
    databases: [{ name: 'orders', url: target.url, migrations: '/set-below' }],
  });
  migrations = path.join(switchback.directory, 'migrations');
  const [database] = switchback.deps.config.databases;
  if (database === undefined) throw new Error('no database');
  const config = { ...switchback.deps.config, databases: [{ ...database, migrations }] };
  switchback = { ...switchback, deps: { ...switchback.deps, config } };
  mkdirSync(migrations);
  writeFileSync(path.join(migrations, 'migration_lock.toml'), 'provider = "postgresql"\n');
  worker = await startWorker(switchback.deps);
});
afterEach(async () => {
  await worker.stop();
  await switchback.close();
  await target.drop();
});

const write = (name: string, sql: string): void => {
  mkdirSync(path.join(migrations, name));
  writeFileSync(path.join(migrations, name, 'migration.sql'), sql);
};
const query = <Row extends object>(sql: string) =>
  withSession(
    parseTarget(target.url),
    { applicationName: 'test' },
    async (session) => (await session.query<Row>(sql)).rows,
  );

async function run<Payload>(kind: Parameters<typeof enqueue<Payload>>[1]['kind'], payload: Payload) {
  const { jobId, recordId } = await enqueue(switchback.deps, {
    kind,
    database: 'orders',
    payload,
    requestedBy: 'ci',
  });
  const tails = openEventTails(switchback.deps.control);
  try {
    const job = await waitForJob({ control: switchback.deps.control, tails }, jobId, {
      seconds: 50,
      signal: new AbortController().signal,
    });
    return { job, recordId };
  } finally {
    tails.close();
  }
}

test('applies what is pending, with a backup before and a report after', async () => {
  write('1_customers', 'create table customers (id int primary key);');
  write('2_orders', 'create table orders (id int primary key, customer int references customers);');
  const { job, recordId } = await run(deployment, { allow: [] });
  expect(job).toMatchObject({
    state: 'succeeded',
    percent: 100,
    result: { applied: ['1_customers', '2_orders'] },
  });
  expect(
    await query('select migration_name from _prisma_migrations where finished_at is not null order by 1'),
  ).toEqual([{ migration_name: '1_customers' }, { migration_name: '2_orders' }]);
  const record = await switchback.deps.control.prisma.deployment.findUniqueOrThrow({
    where: { id: recordId },
  });
  expect(record.report).toMatchObject({
    outcome: 'succeeded',
    migrations: [{ outcome: 'applied' }, { outcome: 'applied' }],
  });
  const backup = await switchback.deps.control.prisma.backup.findUniqueOrThrow({
    where: { id: record.backupId ?? '' },
  });
  expect(backup).toMatchObject({ state: 'verified', database: 'orders' });
  const events = await switchback.deps.control.prisma.jobEvent.findMany({
    where: { jobId: job.id },
    orderBy: { number: 'asc' },
  });
  expect(events.map((event) => event.number)).toEqual(events.map((_, index) => index + 1));
  expect(
    events
      .filter((event) => event.type === 'step-finished')
      .map((event) => (event.body as { step: string }).step),
  ).toEqual(['load', 'plan', 'preflight', 'backup', 'apply', 'verify', 'probe', 'report']);
});

test('a migration that fails leaves nothing behind, and the next attempt needs no resolving', async () => {
  write('1_customers', 'create table customers (id int primary key);');
  write('2_broken', 'create table half (id int);\ninsert into nowhere values (1);');
  const { job, recordId } = await run(deployment, { allow: [] });
  expect(job).toMatchObject({
    state: 'failed',
    error: { code: 'STATEMENT_FAILED', details: { line: 2, column: 13, sqlstate: '42P01' } },
  });
  expect(
    await query("select to_regclass('half') as half, to_regclass('customers')::text as customers"),
  ).toEqual([{ half: null, customers: 'customers' }]);
  const record = await switchback.deps.control.prisma.deployment.findUniqueOrThrow({
    where: { id: recordId },
  });
  expect(record.report).toMatchObject({
    outcome: 'failed',
    migrations: [{ outcome: 'applied' }, { outcome: 'failed' }],
  });
  writeFileSync(path.join(migrations, '2_broken', 'migration.sql'), 'create table half (id int);');
  expect((await run(deployment, { allow: [] })).job.state).toBe('succeeded');
});

test('a database with tables and without a history needs a baseline, and gets one', async () => {
  await query('create table customers (id int primary key)');
  write('1_customers', 'create table customers (id int primary key);');
  write('2_orders', 'create table orders (id int primary key);');
  expect((await run(deployment, { allow: [] })).job).toMatchObject({
    state: 'failed',
    error: { code: 'BASELINE_REQUIRED' },
  });
  expect((await run(recovery, { action: 'baseline', upTo: '1_customers' })).job).toMatchObject({
    state: 'succeeded',
    result: { changed: ['1_customers'] },
  });
  expect((await run(deployment, { allow: [] })).job).toMatchObject({
    state: 'succeeded',
    result: { applied: ['2_orders'] },
  });
});
