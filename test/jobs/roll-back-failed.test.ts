import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cancelJob } from '../../src/jobs/jobs.ts';
import { deployment } from '../../src/jobs/kinds/deployment.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { readDirectory } from '../../src/migrations/read.ts';
import { type DeployPlace, openDeployPlace } from '../acceptance/deploy-place.ts';
import { prismaEngine } from '../migrations/prisma-engine.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { startWebhookReceiver } from '../support/webhook-receiver.ts';

const quick = { heartbeatMs: 200, staleMs: 1_500, repairMs: 200 };

let target: TestDatabase;
let place: DeployPlace;
let worker: RunningWorker | undefined;

beforeEach(async () => {
  target = await createDatabase();
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  await place?.close();
  await target.drop();
});

const untested = { backup: { never: 'tested elsewhere' }, rehearsal: { never: 'tested elsewhere' } };
const lax = { 'drop-column': 'caution', 'drop-table': 'caution', 'unbounded-write': 'caution' };
const open = async (policy: Record<string, unknown> = {}, more: object = {}): Promise<void> => {
  place = await openDeployPlace(target.url, {
    policy: { ...untested, analysis: { rules: lax }, ...policy },
    ...more,
  });
  worker = await startWorker(place.switchback.deps, quick);
};
const deploy = async () => place.finished(await place.deploy());
const recordOf = (jobId: string) =>
  place.switchback.deps.control.prisma.rollback.findUniqueOrThrow({ where: { jobId } });
const alerts = async () =>
  (await place.switchback.deps.control.prisma.alert.findMany({ orderBy: { id: 'asc' } })).map(
    ({ condition, title }) => [condition, title],
  );
const diagnosis = async () => prismaEngine(target.url).diagnose(await readDirectory(place.migrations));
const writeBeside = (migration: string, sql: string): void =>
  writeFileSync(path.join(place.migrations, migration, 'rollback.sql'), sql);

const three = {
  '1_users': 'create table users (id int primary key, name text);',
  '2_orders': 'create table orders (id int primary key, owner int references users);',
  '3_note': 'alter table orders add column note text;',
};

describe('onFailure: rollBack', () => {
  const reportOf = async (jobId: string) =>
    (await place.switchback.deps.control.prisma.deployment.findUniqueOrThrow({ where: { jobId } })).report;

  test('what a deployment applied is taken back when a later migration of it fails', async () => {
    await open({ onFailure: 'rollBack' });
    place.write({ '1_users': three['1_users'] });
    await deploy();
    place.write({ '2_orders': three['2_orders'], '3_broken': 'insert into nowhere values (1);' });
    const job = await deploy();
    expect(job).toMatchObject({
      state: 'failed',
      error: {
        code: 'STATEMENT_FAILED',
        detail: expect.stringContaining('Rolled back: 2_orders.') as string,
        details: { migration: '3_broken', rolledBack: ['2_orders'] },
      },
    });
    expect(
      await place.query("select to_regclass('orders') as orders, to_regclass('users')::text as users"),
    ).toEqual([{ orders: null, users: 'users' }]);
    const record = await recordOf(job.id);
    expect(record).toMatchObject({ report: { outcome: 'succeeded', cause: { code: 'STATEMENT_FAILED' } } });
    expect(await reportOf(job.id)).toMatchObject({
      outcome: 'failed',
      migrations: [{ outcome: 'rolled back' }, { outcome: 'failed' }],
      rollback: { id: record.id, rolledBack: ['2_orders'], error: null },
    });
    expect((await alerts()).map(([condition]) => condition)).toEqual(['job-failed', 'rollback-executed']);
  });

  test('when the application does not answer', async () => {
    const receiver = await startWebhookReceiver();
    try {
      receiver.answerWith(500, 500, 500);
      await open({ onFailure: 'rollBack' }, { healthUrls: [receiver.url] });
      place.write(three);
      expect(await deploy()).toMatchObject({
        state: 'failed',
        error: { code: 'PROBE_FAILED', details: { rolledBack: ['3_note', '2_orders', '1_users'] } },
      });
      expect((await diagnosis()).pending).toEqual(['1_users', '2_orders', '3_note']);
    } finally {
      await receiver.close();
    }
  });

  test('not by a way back that does not hold: the failure says why', async () => {
    await open({ onFailure: 'rollBack' });
    place.write({ ...three, '4_broken': 'insert into nowhere values (1);' });
    writeBeside('3_note', 'select 1;');
    const job = await deploy();
    expect(job).toMatchObject({
      state: 'failed',
      error: { code: 'STATEMENT_FAILED', details: { rollback: { code: 'ROLLBACK_NOT_PROVEN' } } },
    });
    expect((await diagnosis()).pending).toEqual(['4_broken']);
    expect(await reportOf(job.id)).toMatchObject({
      rollback: { id: null, rolledBack: [], error: { code: 'ROLLBACK_NOT_PROVEN' } },
    });
  });

  test('a deployment that could not be taken back is refused where a rehearsal is required', async () => {
    await open({ onFailure: 'rollBack', rehearsal: 'required' });
    place.write(three);
    writeBeside('3_note', 'select 1;');
    const job = await deploy();
    expect(job).toMatchObject({
      state: 'failed',
      error: { code: 'ROLLBACK_NOT_PROVEN', details: { migration: expect.any(String) as string } },
    });
    expect((await diagnosis()).pending).toHaveLength(3);
  });

  test('a cancelled deployment stays as it is', async () => {
    await open({ onFailure: 'rollBack' });
    place.write({ '1_users': three['1_users'], '2_slow': 'select pg_sleep(1.5);' });
    const jobId = await place.ask(deployment, { allow: [] });
    await place.running('pg_sleep(1.5)');
    await cancelJob(place.switchback.deps.control, jobId, 'ci');
    expect(await place.finished(jobId)).toMatchObject({ state: 'cancelled' });
    expect((await diagnosis()).pending).toEqual(['2_slow']);
  });

  test('goes on when its worker is killed in the middle of it', async () => {
    place = await openDeployPlace(target.url, {
      policy: { ...untested, onFailure: 'rollBack' },
    });
    place.write({ ...three, '4_broken': 'insert into nowhere values (1);' });
    await place.rehearsed('1_users', 'drop table users;');
    await place.rehearsed('2_orders', 'select pg_sleep(1.4);\ndrop table orders;');
    await place.rehearsed('3_note', 'alter table orders drop column note;');
    const child = await place.startWorkerProcess();
    const jobId = await place.deploy();
    await place.running('pg_sleep(1.4)');
    child.kill('SIGKILL');
    worker = await startWorker(place.switchback.deps, quick);
    const job = await place.finished(jobId);
    expect(job).toMatchObject({
      state: 'failed',
      attempt: 2,
      error: { code: 'STATEMENT_FAILED', details: { rolledBack: ['3_note', '2_orders', '1_users'] } },
    });
    expect((await diagnosis()).pending).toEqual(['1_users', '2_orders', '3_note', '4_broken']);
    expect(await reportOf(jobId)).toMatchObject({
      migrations: [
        { outcome: 'rolled back' },
        { outcome: 'rolled back' },
        { outcome: 'rolled back' },
        { outcome: 'not started' },
      ],
    });
  });
});
