import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { planDatabase } from '../../src/jobs/deployments/inspect.ts';
import { deployment } from '../../src/jobs/kinds/deployment.ts';
import { recovery } from '../../src/jobs/kinds/recovery.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { startWebhookReceiver } from '../support/webhook-receiver.ts';
import { type DeployPlace, openDeployPlace } from './deploy-place.ts';

let target: TestDatabase;
let place: DeployPlace;
let worker: RunningWorker | undefined;

beforeEach(async () => {
  target = await createDatabase();
});
afterEach(async () => {
  await worker?.stop();
  await place.close();
  await target.drop();
});

const open = async (
  policy: Record<string, unknown> = {},
  url = target.url,
  more: object = {},
): Promise<void> => {
  place = await openDeployPlace(url, {
    policy: { backup: { never: 'tested elsewhere' }, ...policy },
    ...more,
  });
  worker = await startWorker(place.switchback.deps, { heartbeatMs: 200, staleMs: 1_500, repairMs: 200 });
};
const deploy = async (
  payload: Partial<{ allow: { code: string; reason: string }[]; plan: string; bundle: string }> = {},
) => place.finished(await place.ask(deployment, { allow: [], ...payload }));
const recordOf = (jobId: string) =>
  place.switchback.deps.control.prisma.deployment.findUniqueOrThrow({ where: { jobId } });

const two = {
  '1_customers': 'create table customers (id int primary key);',
  '2_orders': 'create table orders (id int primary key, customer int references customers);',
};

test('applies what is pending, with a backup before and a report after', async () => {
  await open({ backup: 'always' });
  place.write(two);
  const job = await deploy();
  expect(job).toMatchObject({
    state: 'succeeded',
    percent: 100,
    result: { applied: ['1_customers', '2_orders'] },
  });
  expect(
    await place.query(
      'select migration_name from _prisma_migrations where finished_at is not null order by 1',
    ),
  ).toEqual([{ migration_name: '1_customers' }, { migration_name: '2_orders' }]);
  const { report, backupId } = await recordOf(job.id);
  expect(report).toMatchObject({
    outcome: 'succeeded',
    requestedBy: 'ci',
    migrations: [{ outcome: 'applied' }, { outcome: 'applied' }],
    verification: [
      { name: 'history', status: 'pass' },
      { name: 'indexes', status: 'pass' },
    ],
    markdown: expect.stringContaining('# Migration log: orders') as string,
  });
  const { prisma } = place.switchback.deps.control;
  expect(await prisma.backup.findUniqueOrThrow({ where: { id: backupId ?? '' } })).toMatchObject({
    state: 'verified',
  });
  const events = await prisma.jobEvent.findMany({
    where: { jobId: job.id, type: 'step-finished' },
    orderBy: { number: 'asc' },
  });
  expect(events.map((event) => (event.body as { step: string }).step)).toEqual([...deployment.steps]);
  expect(await deploy()).toMatchObject({ state: 'succeeded', result: { applied: [] } });
});

test('a migration that fails leaves nothing behind, and the next attempt needs no resolving', async () => {
  await open();
  place.write({
    '1_customers': two['1_customers'],
    '2_broken': 'create table half (id int);\ninsert into nowhere values (1);',
  });
  const job = await deploy();
  expect(job).toMatchObject({
    state: 'failed',
    error: { code: 'STATEMENT_FAILED', details: { line: 2, column: 13, sqlstate: '42P01' } },
  });
  expect(
    await place.query("select to_regclass('half') as half, to_regclass('customers')::text as customers"),
  ).toEqual([{ half: null, customers: 'customers' }]);
  expect((await recordOf(job.id)).report).toMatchObject({
    outcome: 'failed',
    migrations: [{ outcome: 'applied' }, { outcome: 'failed' }],
    error: { code: 'STATEMENT_FAILED' },
  });
  place.write({ '2_broken': 'create table half (id int);' });
  expect(await deploy()).toMatchObject({ state: 'succeeded' });
});

test('a backup that fails stops the deployment before it starts, and is told', async () => {
  await open({ backup: 'always' });
  place.write(two);
  rmSync(path.join(place.switchback.directory, 'backups'), { recursive: true });
  writeFileSync(path.join(place.switchback.directory, 'backups'), 'no folder');
  const job = await deploy();
  expect(job).toMatchObject({ state: 'failed', step: 'backup' });
  expect(await place.query("select to_regclass('customers') as customers")).toEqual([{ customers: null }]);
  expect(await place.switchback.deps.control.prisma.alert.findMany()).toMatchObject([
    { condition: 'backup-failed' },
  ]);
});

describe('recoveries', () => {
  test('a database with tables and without a history needs a baseline, and gets one', async () => {
    await open();
    place.write(two);
    await place.query(two['1_customers']);
    expect(await deploy()).toMatchObject({ state: 'failed', error: { code: 'BASELINE_REQUIRED' } });
    const baseline = await place.finished(
      await place.ask(recovery, { action: 'baseline', upTo: '1_customers' }),
    );
    expect(baseline).toMatchObject({ state: 'succeeded', result: { changed: ['1_customers'] } });
    expect(await deploy()).toMatchObject({ state: 'succeeded', result: { applied: ['2_orders'] } });
  });

  test.each([
    ['resolveApplied', ['2_orders']],
    ['resolveRolledBack', ['1_customers', '2_orders']],
  ] as const)('a failed predecessor of Prisma stops a deployment until %s', async (action, applied) => {
    await open();
    place.write(two);
    await place.query(`create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null, finished_at timestamptz,
      migration_name varchar(255) not null, logs text, rolled_back_at timestamptz, started_at timestamptz not null default now(), applied_steps_count int not null default 0);
      insert into _prisma_migrations (id, checksum, migration_name, logs) values ('x', 'y', '1_customers', 'it broke')`);
    if (action === 'resolveApplied') await place.query(two['1_customers']);
    expect(await deploy()).toMatchObject({
      state: 'failed',
      error: { code: 'MIGRATION_FAILED_BEFORE', detail: expect.stringContaining('it broke') as string },
    });
    expect(
      await place.finished(await place.ask(recovery, { action, migration: '1_customers' })),
    ).toMatchObject({ state: 'succeeded' });
    expect(await deploy()).toMatchObject({ state: 'succeeded', result: { applied } });
  });
});

describe('a plan that was looked at', () => {
  const planNow = async () => (await planDatabase(place.switchback.deps, 'orders', { requestedBy: 'ci' })).id;

  test('is deployed as it is', async () => {
    await open();
    place.write(two);
    expect(await deploy({ plan: await planNow() })).toMatchObject({ state: 'succeeded' });
  });

  test('is refused when something has changed since', async () => {
    await open();
    place.write(two);
    const plan = await planNow();
    place.write({ '3_more': 'select 1;' });
    expect(await deploy({ plan })).toMatchObject({ state: 'failed', error: { code: 'PLAN_STALE' } });
  });

  test('is finished by a successor when its worker is killed half-way', async () => {
    await open();
    await worker?.stop();
    place.write({ ...two, '3_slow': 'create table slow (id int);\nselect pg_sleep(1.5);' });
    const plan = await planNow();
    const child = await place.startWorkerProcess();
    const jobId = await place.ask(deployment, { allow: [], plan });
    await place.running('pg_sleep(1.5)');
    child.kill('SIGKILL');
    worker = await startWorker(place.switchback.deps, { heartbeatMs: 200, staleMs: 1_500, repairMs: 200 });
    expect(await place.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 2 });
    expect(await place.query("select to_regclass('slow')::text as slow")).toEqual([{ slow: 'slow' }]);
  });
});

describe('looks before it starts', () => {
  const concurrently = {
    '1_customers': two['1_customers'],
    '2_index': 'create index concurrently c on customers (id);',
  };

  test('at publications of all tables, when a table of ours would appear', async () => {
    await open();
    place.write(concurrently);
    await place.query('create publication everything for all tables');
    expect(await deploy()).toMatchObject({
      state: 'failed',
      error: { code: 'PUBLICATION_FOR_ALL_TABLES', detail: expect.stringContaining('everything') as string },
    });
  });

  test('at a long transaction that holds a lock on what it changes, which can be allowed', async () => {
    await open({ longTransactionMs: 1_000, lockTimeoutMs: 200, lockBudgetMs: 500 });
    await place.query('create table customers (id int primary key)');
    place.write({
      '1_customers': two['1_customers'],
      '2_name': 'alter table customers add column name text;',
    });
    await place.finished(await place.ask(recovery, { action: 'baseline', upTo: '1_customers' }));
    const holder = place.query('begin; select count(*) from customers; select pg_sleep(6); commit');
    await place.running('pg_sleep(6)');
    await place.query('select pg_sleep(1.2)');
    expect(await deploy()).toMatchObject({
      state: 'failed',
      error: { code: 'BLOCKING_TRANSACTION', detail: expect.stringContaining('customers') as string },
    });
    const allowed = await deploy({ allow: [{ code: 'BLOCKING_TRANSACTION', reason: 'it ends soon' }] });
    expect(allowed).toMatchObject({ state: 'failed', error: { code: 'LOCK_TIMEOUT' } });
    await holder;
  });

  test("at the role's rights", async () => {
    await open();
    const name = `role_${Date.now()}`;
    await place.query(
      `create role ${name} login password 'secret'; revoke create on schema public from public`,
    );
    const url = new URL(target.url);
    url.username = name;
    url.password = 'secret';
    await worker?.stop();
    await place.close();
    await open({}, url.href);
    place.write(two);
    expect(await deploy()).toMatchObject({
      state: 'failed',
      error: { code: 'PERMISSION_DENIED', detail: expect.stringContaining('GRANT CREATE') as string },
    });
    await worker?.stop();
    await place.close();
    await open();
    await place.query(`drop role ${name}`);
  });
});

test("the application's critical paths are called afterwards; one that does not answer fails the job, not the database", async () => {
  const receiver = await startWebhookReceiver();
  place = await openDeployPlace(target.url, {
    policy: { backup: { never: 'tested elsewhere' } },
    healthUrls: [receiver.url],
  });
  worker = await startWorker(place.switchback.deps);
  try {
    place.write(two);
    receiver.answerWith(500, 500, 500);
    const job = await deploy();
    expect(job).toMatchObject({ state: 'failed', error: { code: 'PROBE_FAILED' } });
    expect((await recordOf(job.id)).report).toMatchObject({
      probes: [{ ok: false, output: expect.stringContaining('500') as string }],
    });
    expect(await place.query("select to_regclass('orders')::text as orders")).toEqual([{ orders: 'orders' }]);
  } finally {
    await receiver.close();
  }
});

describe('bad input is a clear error and changes nothing', () => {
  const broken: readonly [string, string, () => void][] = [
    [
      'a folder that is missing',
      'MIGRATIONS_DIRECTORY_MISSING',
      () => rmSync(place.migrations, { recursive: true }),
    ],
    ['an empty folder', 'MIGRATIONS_DIRECTORY_EMPTY', () => undefined],
    [
      'no lock file',
      'MIGRATION_LOCK_MISSING',
      () => {
        place.write(two);
        rmSync(path.join(place.migrations, 'migration_lock.toml'));
      },
    ],
    [
      'another provider',
      'MIGRATION_PROVIDER_UNSUPPORTED',
      () => {
        place.write(two);
        writeFileSync(path.join(place.migrations, 'migration_lock.toml'), 'provider = "mysql"');
      },
    ],
    [
      'no migration.sql',
      'MIGRATION_SQL_MISSING',
      () => {
        place.write(two);
        rmSync(path.join(place.migrations, '2_orders', 'migration.sql'));
      },
    ],
    ['SQL that does not parse', 'PLAN_HAS_VIOLATIONS', () => place.write({ '1_typo': 'create tabel x ();' })],
    [
      'a file that drops session locks',
      'MIGRATION_DROPS_LOCKS',
      () => place.write({ '1_drops': 'discard all;' }),
    ],
  ];
  test.each(broken)('%s', async (_, code, prepare) => {
    await open();
    prepare();
    expect(await deploy()).toMatchObject({ state: 'failed', error: { code } });
    expect(await place.query("select to_regclass('customers') as customers")).toEqual([{ customers: null }]);
  });

  test('a file that was edited after it was applied, unless that is allowed by name', async () => {
    await open();
    place.write(two);
    await deploy();
    place.write({ '1_customers': `${two['1_customers']} -- edited` });
    expect(await deploy()).toMatchObject({ state: 'failed', error: { code: 'MIGRATION_DIVERGED' } });
    const job = await deploy({ allow: [{ code: 'MIGRATION_DIVERGED', reason: 'only a comment' }] });
    expect(job).toMatchObject({ state: 'succeeded' });
    expect((await recordOf(job.id)).report).toMatchObject({ allowances: [{ reason: 'only a comment' }] });
  });

  test('an allowance for what cannot be allowed', async () => {
    await open();
    place.write(two);
    expect(
      await deploy({ allow: [{ code: 'BASELINE_REQUIRED', reason: 'because I say so' }] }),
    ).toMatchObject({ state: 'failed', error: { code: 'ALLOWANCE_UNKNOWN' } });
  });

  test('a database that cannot be reached', async () => {
    await open({}, 'postgres://nobody:hunter2@127.0.0.1:1/orders');
    place.write(two);
    const job = await deploy();
    expect(job).toMatchObject({ state: 'failed', error: { code: 'DATABASE_UNREACHABLE' } });
    expect(JSON.stringify(job)).not.toContain('hunter2');
  });

  test('a URL that leads to a transaction pooler', async () => {
    await open({}, `${target.url}?pgbouncer=true`);
    place.write(two);
    expect(await deploy()).toMatchObject({ state: 'failed', error: { code: 'DATABASE_POOLED' } });
  });

  test('an uploaded bundle where the policy takes none', async () => {
    await open();
    expect(await deploy({ bundle: 'a'.repeat(64) })).toMatchObject({
      state: 'failed',
      error: { code: 'BUNDLE_UPLOAD_FORBIDDEN' },
    });
  });
});
