/** Processes that die in the middle of a deployment. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readEvents } from '../../src/db/control/job-rows.ts';
import { deploymentSteps } from '../../src/jobs/kinds/deployment.ts';
import { prepareControl } from '../../src/jobs/prepare-control.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { readDirectory } from '../../src/migrations/read.ts';
import { prismaEngine } from '../migrations/prisma-engine.ts';
import { createDatabase, startServer, type TestDatabase } from '../support/postgres.ts';
import { hasRedis, startRedis } from '../support/redis.ts';
import { waitFor } from '../support/wait.ts';
import { type DeployPlace, openDeployPlace } from './deploy-place.ts';

const files = {
  '1_table': 'create table marks (n int primary key);\ninsert into marks values (1);',
  '2_whole': 'insert into marks values (2);\nselect pg_sleep(1);\ninsert into marks values (3);',
  '3_parts':
    'insert into marks values (4);\ncreate index concurrently marks_n on marks (n);\nselect pg_sleep(1.1);\ninsert into marks values (5);',
};
const successor = { heartbeatMs: 200, staleMs: 1_500, repairMs: 200 };

let target: TestDatabase;
let place: DeployPlace;
const workers: RunningWorker[] = [];

beforeEach(async () => {
  target = await createDatabase();
  place = await openDeployPlace(target.url);
  place.write(files);
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
  await place.close();
  await target.drop();
});

/** Every change was made once, the index is whole, and Prisma finds nothing left to do. */
async function expectApplied(at: DeployPlace = place): Promise<void> {
  expect((await at.query<{ n: number }>('select n from marks order by n')).map((row) => row.n)).toEqual([
    1, 2, 3, 4, 5,
  ]);
  expect(await at.query("select indisvalid from pg_index where indexrelid = 'marks_n'::regclass")).toEqual([
    { indisvalid: true },
  ]);
  const diagnosis = await prismaEngine(at.url).diagnose(await readDirectory(at.migrations));
  expect(diagnosis).toEqual({ pending: [], failed: [], edited: [] });
}

async function succeed(): Promise<void> {
  workers.push(await startWorker(place.switchback.deps, successor));
}

describe('a worker killed with kill -9', () => {
  test.each(deploymentSteps)('at the step %s is succeeded by another, which finishes', async (step) => {
    const child = await place.startWorkerProcess();
    const jobId = await place.deploy();
    const reached = async () => {
      const events = await readEvents(place.switchback.deps.control.prisma, jobId, 0, 1_000);
      return events.some(
        (event) => event.type === 'step-started' && (event.body as { step: string }).step === step,
      );
    };
    await waitFor(reached, { what: `the step ${step}` });
    child.kill('SIGKILL');
    await succeed();
    expect(await place.finished(jobId)).toMatchObject({ state: 'succeeded', error: null });
    await expectApplied();
  });

  test.each(['pg_sleep(1)', 'pg_sleep(1.1)'])(
    'inside the statement %s, its orphaned backend still running',
    async (statement) => {
      const child = await place.startWorkerProcess();
      const jobId = await place.deploy();
      await place.running(statement);
      child.kill('SIGKILL');
      await succeed();
      expect(await place.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 2 });
      await expectApplied();
    },
  );

  test('while CREATE INDEX CONCURRENTLY waits for an old snapshot leaves no invalid index', async () => {
    const child = await place.startWorkerProcess();
    place.write({ '1_table': files['1_table'], '2_whole': files['2_whole'] });
    const holder = place.query(
      'begin isolation level repeatable read; select count(*) from pg_class; select pg_sleep(6); commit',
    );
    const jobId = await place.deploy();
    await place.running('create index concurrently');
    child.kill('SIGKILL');
    await succeed();
    expect(await place.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 2 });
    await holder;
    await expectApplied();
  });
});

test('PostgreSQL crashing in mid-apply fails the job, and the next deployment goes on from there', async () => {
  const server = await startServer(15);
  const crashing = await openDeployPlace(server.url());
  const worker = await startWorker(crashing.switchback.deps, successor);
  try {
    crashing.write(files);
    const jobId = await crashing.deploy();
    await crashing.running('pg_sleep(1.1)');
    await server.restart('immediate');
    expect(await crashing.finished(jobId)).toMatchObject({
      state: 'failed',
      error: { code: 'DATABASE_UNREACHABLE' },
    });
    expect(await crashing.finished(await crashing.deploy())).toMatchObject({
      state: 'succeeded',
      result: { applied: ['3_parts'] },
    });
    await expectApplied(crashing);
  } finally {
    await worker.stop();
    await crashing.close();
    await server.stop('immediate');
  }
});

test('the control database crashing in mid-job loses neither the job nor its outcome', async () => {
  const server = await startServer(15);
  await prepareControl(server.url(), new AbortController().signal);
  const crashing = await openDeployPlace(target.url, { controlUrl: server.url() });
  const worker = await startWorker(crashing.switchback.deps, { ...successor, staleMs: 10_000 });
  try {
    crashing.write(files);
    const jobId = await crashing.deploy();
    await crashing.running('pg_sleep(1)');
    await server.restart('immediate');
    expect(await crashing.finished(jobId)).toMatchObject({ state: 'succeeded' });
    await expectApplied(crashing);
  } finally {
    await worker.stop();
    await crashing.close();
    await server.stop('immediate');
  }
});

describe.runIf(hasRedis)('Redis', () => {
  test('restarted while jobs wait loses none', async () => {
    const redis = await startRedis();
    const waiting = await openDeployPlace(target.url, { queueUrl: redis.url });
    let worker: RunningWorker | undefined;
    try {
      waiting.write(files);
      const jobId = await waiting.deploy();
      await redis.restart();
      worker = await startWorker(waiting.switchback.deps, successor);
      expect(await waiting.finished(jobId)).toMatchObject({ state: 'succeeded' });
    } finally {
      await worker?.stop();
      await waiting.close();
      await redis.stop();
    }
  });

  test('gone when a job is asked for: the caller is told, and the row says so for good', async () => {
    const redis = await startRedis();
    const away = await openDeployPlace(target.url, { queueUrl: redis.url });
    try {
      await redis.stop();
      await expect(away.deploy()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
      expect(await away.switchback.deps.control.prisma.job.findMany()).toMatchObject([
        { state: 'failed', error: { code: 'QUEUE_UNAVAILABLE' } },
      ]);
    } finally {
      await away.close();
    }
  });
});
