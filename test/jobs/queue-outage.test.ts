import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openQueue } from '../../src/jobs/queue.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { hasRedis, startRedis, type TestRedis } from '../support/redis.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { counting, echo } from './kinds.ts';
import { startProxy, type WayThrough } from './proxy.ts';
import { openWorkshop, quick, type Workshop } from './workshop.ts';

describe.each(['postgres', 'redis'] as const)('a queue on %s', (backend) => {
  const run = test.runIf(backend === 'postgres' || hasRedis);
  let redis: TestRedis | undefined;
  let database: TestDatabase;
  let proxy: WayThrough;
  let switchback: TestSwitchback;
  let shop: Workshop;

  beforeAll(async () => {
    if (backend === 'redis' && hasRedis) redis = await startRedis();
  });
  afterAll(() => redis?.stop());
  beforeEach(async () => {
    // Not the control database: the two are to fail apart.
    database = await createDatabase();
    proxy = await startProxy(redis?.url ?? database.url);
    switchback = await openSwitchback({ worker: { shutdownGraceSeconds: 1 } }, { queueUrl: proxy.url });
    shop = openWorkshop(switchback);
  });
  afterEach(async () => {
    proxy.restore();
    await shop.close();
    await switchback.close();
    await proxy.close();
    await database.drop();
  });

  const outages = ['cut', 'stopUp'] as const;
  for (const outage of outages)
    run(
      `that is away (${outage}) refuses a job within seconds, for good, and takes the next when it is back`,
      async () => {
        proxy[outage]();
        const startedAt = performance.now();
        await expect(shop.ask(echo, { text: 'lost' })).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
        expect(performance.now() - startedAt).toBeLessThan(4_500);
        await expect(switchback.deps.queue.ping()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
        const row = await switchback.deps.control.prisma.job.findFirstOrThrow();
        expect(row).toMatchObject({ state: 'failed', attempt: 0, error: { code: 'QUEUE_UNAVAILABLE' } });
        expect(JSON.stringify(row.error)).not.toContain(new URL(proxy.url).password || '\0');
        proxy.restore();
        await shop.work();
        expect(await shop.finished(await shop.ask(echo, { text: 'later' }))).toMatchObject({
          state: 'succeeded',
        });
        // Should the first entry have come through after all, it finds nothing to do.
        expect(await shop.read(row.id)).toEqual(row);
      },
    );

  run(
    'that is cut while jobs wait and one runs loses none of them',
    async () => {
      await shop.work();
      const counter = `cut on ${backend}`;
      const running = await shop.ask(counting, { counter });
      await shop.waiting(running);
      const waiting = await Promise.all([1, 2, 3].map(() => shop.ask(counting, { counter })));
      proxy.cut();
      counting.release(counter);
      expect(await shop.finished(running)).toMatchObject({ state: 'succeeded', attempt: 1 });
      proxy.restore();
      // An entry that was on its way when the line was cut comes again when its lock has run out.
      for (const jobId of waiting)
        expect(await shop.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 1 });
      expect(counting.runs(counter)).toBe(4);
    },
    60_000,
  );

  run('that is away does not keep a worker from stopping', async () => {
    const worker = await shop.work();
    proxy.cut();
    const startedAt = performance.now();
    await worker.stop();
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });

  run('that forgot its entries gets them again from the rows', async () => {
    const jobs = await Promise.all([1, 2, 3].map((text) => shop.ask(echo, { text: String(text) })));
    const { prisma } = switchback.deps.control;
    await prisma.$executeRaw`update job set due_at = now() - interval '11 seconds'`;
    // Another prefix is an empty queue.
    const empty = await openQueue({ url: proxy.url, prefix: 'another-one' });
    const deps = { ...switchback.deps, queue: empty };
    const other = openWorkshop({ ...switchback, deps });
    await other.work(quick);
    for (const jobId of jobs)
      expect(await other.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 1 });
    await other.close();
    await empty.close();
  });

  run('is made ready by several processes at once', async () => {
    const opened = await Promise.all(
      Array.from({ length: 5 }, () => openQueue({ url: proxy.url, prefix: 'fresh' })),
    );
    await Promise.all(opened.map((queue) => queue.ping()));
    await Promise.all(opened.map((queue) => queue.close()));
  });
});

test.each(['redis://127.0.0.1:1', 'postgres://u:secret@127.0.0.1:1/x'])(
  'a queue that is not there (%s) says so within seconds, and keeps the password',
  async (url) => {
    const opening = openQueue({ url, prefix: 'none' });
    await expect(opening).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await expect(opening).rejects.not.toThrow(/secret/);
  },
);

describe.runIf(hasRedis)('Redis that is restarted', () => {
  test('while jobs wait keeps them', async () => {
    const redis = await startRedis();
    const switchback = await openSwitchback({}, { queueUrl: redis.url });
    const shop = openWorkshop(switchback);
    try {
      const jobs = await Promise.all([1, 2, 3].map((text) => shop.ask(echo, { text: String(text) })));
      await redis.restart();
      await shop.work({ ...quick, repairMs: 60_000 });
      for (const jobId of jobs)
        expect(await shop.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 1 });
      await redis.restart();
      expect(await shop.finished(await shop.ask(echo, { text: 'after' }))).toMatchObject({
        state: 'succeeded',
      });
    } finally {
      await shop.close();
      await switchback.close();
      await redis.stop();
    }
  });
});
