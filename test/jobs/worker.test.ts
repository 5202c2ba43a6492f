import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cancelJob } from '../../src/jobs/jobs.ts';
import { runEntry } from '../../src/jobs/runner.ts';
import { hasRedis, startRedis, type TestRedis } from '../support/redis.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';
import { awkward, broken, counting, echo, flaky, fragile, stuck } from './kinds.ts';
import { openWorkshop, quick, type Workshop } from './workshop.ts';

describe.each(['postgres', 'redis'] as const)('on %s', (backend) => {
  const run = test.runIf(backend === 'postgres' || hasRedis);
  let redis: TestRedis | undefined;
  let switchback: TestSwitchback;
  let shop: Workshop;

  beforeAll(async () => {
    if (backend === 'redis' && hasRedis) redis = await startRedis();
  });
  afterAll(() => redis?.stop());
  beforeEach(async () => {
    switchback = await openSwitchback(
      { alerts: { overdueSeconds: 1 }, worker: { shutdownGraceSeconds: 1 } },
      redis === undefined ? {} : { queueUrl: redis.url },
    );
    shop = openWorkshop(switchback);
  });
  afterEach(async () => {
    await shop.close();
    await switchback.close();
  });

  run('runs a job to its end and numbers its events without a gap', async () => {
    await shop.work();
    const jobId = await shop.ask(echo, { text: 'hello' });
    expect(await shop.finished(jobId)).toMatchObject({
      state: 'succeeded',
      percent: 100,
      attempt: 1,
      result: { text: 'hello' },
    });
    const events = await shop.eventsOf(jobId);
    expect(events.map((event) => event.number)).toEqual(events.map((_, index) => index + 1));
    expect(events.map((event) => event.type).filter((type) => type !== 'progress')).toEqual([
      'queued',
      'started',
      'step-started',
      'step-finished',
      'note',
      'step-started',
      'step-finished',
      'succeeded',
    ]);
    // A thousand reports within half a second: the first and the last.
    expect(events.filter((event) => event.type === 'progress').length).toBeLessThanOrEqual(3);
  });

  run('does nothing when an entry is delivered a second time, after the job or during it', async () => {
    await shop.work();
    const jobId = await shop.ask(counting, { counter: `twice on ${backend}` });
    await shop.waiting(jobId);
    const other = {
      ...quick,
      worker: 'another',
      shutdown: new AbortController().signal,
    };
    await runEntry(switchback.deps, { jobId, attempt: 1 }, other);
    await runEntry(switchback.deps, { jobId, attempt: 2 }, other);
    counting.release(`twice on ${backend}`);
    await shop.finished(jobId);
    const types = await shop.typesOf(jobId);
    await switchback.deps.queue.add('operations', { jobId, attempt: 1 });
    await shop.finished(await shop.ask(echo, { text: 'later' }));
    expect(counting.runs(`twice on ${backend}`)).toBe(1);
    expect(await shop.read(jobId)).toMatchObject({ state: 'succeeded', attempt: 1 });
    expect(await shop.typesOf(jobId)).toEqual(types);
  });

  run('runs each of many jobs exactly once on two workers', async () => {
    await Promise.all([shop.work(), shop.work()]);
    const counters = Array.from({ length: 40 }, (_, index) => `${index} on ${backend}`);
    for (const counter of counters) counting.release(counter);
    const jobs = await Promise.all(counters.map((counter) => shop.ask(counting, { counter })));
    for (const jobId of jobs)
      expect(await shop.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 1 });
    expect(counters.map(counting.runs)).toEqual(counters.map(() => 1));
  });

  run('tries again after an outage, and not after a failure', async () => {
    await shop.work();
    const jobId = await shop.ask(flaky, {});
    expect(await shop.finished(jobId)).toMatchObject({
      state: 'succeeded',
      attempt: 3,
      result: { attempt: 3 },
    });
    const pauses = (await shop.eventsOf(jobId)).filter((event) => event.type === 'requeued');
    expect(pauses.map((event) => (event.body as { delayMs: number }).delayMs)).toEqual([1_000, 50]);
    expect(await shop.finished(await shop.ask(broken, {}))).toMatchObject({
      state: 'failed',
      attempt: 1,
      error: { code: 'STATEMENT_FAILED' },
    });
  });

  run('lets a worker that was killed be succeeded by another', async () => {
    const child = await shop.workApart();
    const jobId = await shop.ask(stuck, {}, 'orders');
    await shop.waiting(jobId);
    child.kill('SIGKILL');
    await shop.work();
    expect(await shop.finished(jobId)).toMatchObject({
      state: 'succeeded',
      attempt: 2,
      result: { attempt: 2 },
    });
    const percents = (await shop.eventsOf(jobId)).map((event) => (event.body as { percent: number }).percent);
    expect(percents.slice(-2)).toEqual([100, 100]);
    expect(percents).toEqual(percents.toSorted((one, other) => one - other));
    expect(await shop.typesOf(jobId)).toContain('requeued');
  });

  run('fails a job that must not be run again, when its worker was killed', async () => {
    const child = await shop.workApart();
    const jobId = await shop.ask(fragile, {});
    await shop.waiting(jobId);
    child.kill('SIGKILL');
    await shop.work();
    expect(await shop.finished(jobId)).toMatchObject({ state: 'failed', error: { code: 'JOB_INTERRUPTED' } });
  });

  run(
    'hands a job back when it shuts down',
    async () => {
      const first = await shop.work({ ...quick, repairMs: 60_000 });
      const jobId = await shop.ask(stuck, {}, 'orders');
      await shop.waiting(jobId);
      await first.stop();
      expect(await shop.read(jobId)).toMatchObject({ state: 'queued', attempt: 1 });
      await shop.work();
      expect(await shop.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 2 });
    },
    90_000,
  );

  run('cancels a job that runs, and one that waits', async () => {
    const waiting = await shop.ask(stuck, {}, 'billing');
    expect(await cancelJob(switchback.deps.control, waiting, 'operator')).toMatchObject({
      state: 'cancelled',
    });
    await shop.work();
    const jobId = await shop.ask(stuck, {}, 'orders');
    await shop.waiting(jobId);
    await cancelJob(switchback.deps.control, jobId, 'operator');
    expect(await shop.finished(jobId)).toMatchObject({
      state: 'cancelled',
      error: { code: 'JOB_CANCELLED' },
      cancelRequestedBy: 'operator',
    });
    const over = await shop.ask(echo, { text: '' });
    await shop.finished(over);
    await expect(cancelJob(switchback.deps.control, over, 'x')).rejects.toMatchObject({
      code: 'JOB_ALREADY_FINISHED',
    });
  });

  run('keeps what jobs say, also where jsonb does not take it', async () => {
    await shop.work();
    const jobId = await shop.ask(awkward, {});
    expect(await shop.finished(jobId)).toMatchObject({
      state: 'succeeded',
      result: { text: 'NUL \ufffd', at: '1970-01-01T00:00:00.000Z' },
    });
    expect((await shop.eventsOf(jobId)).find((event) => event.type === 'note')).toMatchObject({
      body: { message: 'half \ufffd a pair, and \ufffd', big: 2 ** 40 },
    });
  });

  run('lets one exclusive job through of twenty at once, and names it to the others', async () => {
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => shop.ask(stuck, {}, 'orders')));
    const [first] = answers.filter((answer) => answer.status === 'fulfilled');
    const refused = answers.filter((answer) => answer.status === 'rejected');
    expect(refused).toHaveLength(19);
    for (const { reason } of refused)
      expect(reason).toMatchObject({ code: 'DATABASE_BUSY', details: { job: first?.value } });
    await expect(shop.ask(stuck, {}, 'billing')).resolves.toBeTypeOf('string');
  });

  run('adds a queued row again whose entry a crash has lost', async () => {
    const jobId = await shop.ask(echo, { text: 'lost' });
    await shop.work({ ...quick, repairMs: 60_000 });
    await shop.finished(jobId);
    const { prisma } = switchback.deps.control;
    const ago = new Date(Date.now() - 60_000);
    await prisma.job.update({
      where: { id: jobId },
      data: { state: 'queued', attempt: 1, dueAt: ago, finishedAt: null },
    });
    await shop.work();
    await waitFor(async () => (await shop.read(jobId)).state === 'succeeded', {
      what: 'the second attempt',
    });
  });

  run('tells of an overdue job once, while it still runs', async () => {
    await shop.work();
    const jobId = await shop.ask(stuck, {}, 'orders');
    const { prisma } = switchback.deps.control;
    const told = () => prisma.alert.findMany({ where: { jobId } });
    await waitFor(async () => (await told()).length > 0, { what: 'an alert' });
    expect(await told()).toMatchObject([
      { condition: 'job-overdue', severity: 'warning', database: 'orders' },
    ]);
    expect(await shop.read(jobId)).toMatchObject({ state: 'running' });
    await cancelJob(switchback.deps.control, jobId, 'operator');
    await shop.finished(jobId);
    expect(await told()).toHaveLength(1);
  });
});
