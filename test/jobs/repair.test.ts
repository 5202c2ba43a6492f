import { v7 as newId } from 'uuid';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { appendEvent, claimJob } from '../../src/db/control/job-rows.ts';
import { cancelJob } from '../../src/jobs/jobs.ts';
import { prune, repair } from '../../src/jobs/repair.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { echo, fragile, kinds, stuck } from './kinds.ts';
import { openWorkshop, type Workshop } from './workshop.ts';

const staleMs = 1_000;
let switchback: TestSwitchback;
let shop: Workshop;
beforeEach(async () => {
  switchback = await openSwitchback();
  shop = openWorkshop(switchback);
});
afterEach(async () => {
  await shop.close();
  await switchback.close();
});

const pass = () => repair(switchback.deps, kinds, { staleMs });
const prisma = () => switchback.deps.control.prisma;
const names = kinds.map((kind) => kind.name);

/** A job that a worker claimed, and that has given no sign of life for a minute. */
async function abandoned(kind: typeof stuck | typeof fragile): Promise<string> {
  const jobId = await shop.ask(kind, {}, 'orders');
  await claimJob(prisma(), { jobId, attempt: 1 }, { worker: 'gone', kinds: names });
  await prisma()
    .$executeRaw`update job set heartbeat_at = now() - interval '1 minute' where id = ${jobId}::uuid`;
  return jobId;
}

test('an abandoned job is queued again, and its former worker writes no more', async () => {
  const jobId = await abandoned(stuck);
  await pass();
  expect(await shop.read(jobId)).toMatchObject({ state: 'queued', attempt: 1, worker: null });
  expect(await shop.typesOf(jobId)).toEqual(['queued', 'requeued']);
  const written = appendEvent(prisma(), { jobId, attempt: 1 }, { type: 'note', body: {} }, 'running');
  expect(await written).toBe(false);
  expect(await shop.typesOf(jobId)).toEqual(['queued', 'requeued']);
});

test('one that lives is let alone', async () => {
  const jobId = await shop.ask(stuck, {}, 'orders');
  await claimJob(prisma(), { jobId, attempt: 1 }, { worker: 'alive', kinds: names });
  await pass();
  expect(await shop.read(jobId)).toMatchObject({ state: 'running', worker: 'alive' });
});

test('one that was to be cancelled is cancelled, not queued', async () => {
  const jobId = await abandoned(stuck);
  await cancelJob(switchback.deps.control, jobId, 'operator');
  await pass();
  expect(await shop.read(jobId)).toMatchObject({ state: 'cancelled', error: { code: 'JOB_CANCELLED' } });
});

test('one that must not be run again fails, and its events end with that', async () => {
  const jobId = await abandoned(fragile);
  await pass();
  expect(await shop.read(jobId)).toMatchObject({ state: 'failed', error: { code: 'JOB_INTERRUPTED' } });
  expect(await shop.typesOf(jobId)).toEqual(['queued', 'failed']);
  expect(await prisma().alert.findMany()).toMatchObject([{ condition: 'job-failed', jobId }]);
});

test('one that takes its workers down with it is given up', async () => {
  const jobId = await abandoned(stuck);
  await prisma().job.update({ where: { id: jobId }, data: { attempt: 11 } });
  await pass();
  expect(await shop.read(jobId)).toMatchObject({ state: 'failed', error: { code: 'JOB_INTERRUPTED' } });
});

test('jobs of kinds that this release does not know are left to one that does', async () => {
  const jobId = await shop.ask({ ...echo, name: 'from-the-future' }, { text: '' });
  const attempt = { jobId, attempt: 1 };
  expect(await claimJob(prisma(), attempt, { worker: 'old', kinds: names })).toBeNull();
  await claimJob(prisma(), attempt, { worker: 'new', kinds: ['from-the-future'] });
  await prisma().$executeRaw`update job set heartbeat_at = now() - interval '1 minute'`;
  await pass();
  expect(await shop.read(jobId)).toMatchObject({ state: 'running', worker: 'new' });
});

test('what is running too long is told of once by several workers, but a health check or a delivery never', async () => {
  const jobId = await abandoned(stuck);
  await prisma().$executeRaw`update job set started_at = now() - interval '6 minutes', heartbeat_at = now()`;
  const signal = newId();
  await prisma().job.create({
    data: {
      ...{ id: signal, kind: 'echo', queue: 'signals', state: 'running', payload: {}, requestedBy: 'ci' },
      ...{ startedAt: new Date(0), heartbeatAt: new Date(Date.now() + 60_000) },
    },
  });
  await Promise.all(Array.from({ length: 20 }, pass));
  expect(await prisma().alert.findMany()).toMatchObject([{ condition: 'job-overdue', jobId }]);
});

test('prunes health checks after a day, deliveries after a month, other jobs never', async () => {
  const ages = [2, 40].flatMap((days) =>
    ['health-check', 'alert-delivery', 'deployment'].map((kind) => ({ kind, days })),
  );
  for (const { kind, days } of ages)
    await prisma().job.create({
      data: {
        ...{ id: newId(), kind, queue: 'signals', state: 'succeeded', payload: {}, requestedBy: `${days}` },
        finishedAt: new Date(Date.now() - days * 86_400_000),
      },
    });
  await prisma().idempotencyKey.createMany({
    data: [2, 0].map((days) => ({
      ...{ token: 'ci', route: 'POST /', key: `${days}`, bodySha256: '' },
      createdAt: new Date(Date.now() - days * 86_400_000),
    })),
  });
  await prune(switchback.deps);
  const left = await prisma().job.findMany({ orderBy: { id: 'asc' } });
  expect(left.map(({ kind, requestedBy }) => `${kind} ${requestedBy}`)).toEqual([
    'alert-delivery 2',
    'deployment 2',
    'deployment 40',
  ]);
  expect(await prisma().idempotencyKey.findMany()).toMatchObject([{ key: '0' }]);
});
