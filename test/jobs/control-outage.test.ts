/** The control database goes away while jobs run. What a job does in its target goes on; only its record waits. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../../src/backups/stores/index.ts';
import { configSchema } from '../../src/config.ts';
import { openControl } from '../../src/db/control/control.ts';
import { openAnalyst } from '../../src/jobs/analysis/analyst.ts';
import type { JobDependencies } from '../../src/jobs/dependencies.ts';
import { prepareControl } from '../../src/jobs/prepare-control.ts';
import { openQueue } from '../../src/jobs/queue.ts';
import { createControlDatabase } from '../support/control.ts';
import { startServer, type TestDatabase, type TestServer } from '../support/postgres.ts';
import { counting, echo, stuck } from './kinds.ts';
import { startProxy, type WayThrough } from './proxy.ts';
import { openWorkshop, quick, type Workshop } from './workshop.ts';

let directory: string;
let deps: JobDependencies;
let shop: Workshop;

async function open(controlUrl: string, queueUrl: string): Promise<void> {
  directory = await mkdtemp(path.join(tmpdir(), 'switchback-outage-'));
  const control = await openControl(controlUrl);
  const queue = await openQueue({ url: queueUrl, prefix: 'outage' });
  const store = await openStore({ type: 'file', directory });
  const config = { ...configSchema.parse({ worker: { shutdownGraceSeconds: 1 } }), file: null };
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' });
  deps = { config, control, queue, store, analyst: await openAnalyst({ log }), log };
  shop = openWorkshop({ deps, controlUrl, queueUrl, prefix: 'outage' });
}

afterEach(async () => {
  await shop.close();
  await deps.analyst.close();
  await deps.queue.close();
  await deps.control.close();
  await rm(directory, { recursive: true, force: true });
});

describe('a control database that crashes, with the queue on it', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startServer(15);
    await prepareControl(server.url(), new AbortController().signal);
    await open(server.url(), server.url());
  });
  afterEach(() => server.stop());

  test('and is back soon: the job goes on, its record is whole, and the next one is taken', async () => {
    await shop.work({ ...quick, staleMs: 20_000 });
    const jobId = await shop.ask(counting, { counter: 'crash' });
    await shop.waiting(jobId);
    const crashed = server.restart('immediate');
    counting.release('crash');
    await crashed;
    expect(await shop.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 1 });
    expect(counting.runs('crash')).toBe(1);
    expect(await shop.typesOf(jobId)).toEqual([
      'queued',
      'started',
      'step-started',
      'step-finished',
      'succeeded',
    ]);
    expect(await shop.finished(await shop.ask(echo, { text: 'after' }))).toMatchObject({
      state: 'succeeded',
    });
  }, 60_000);
});

describe('a control database out of reach', () => {
  let database: TestDatabase;
  let proxy: WayThrough;
  beforeEach(async () => {
    database = await createControlDatabase();
    proxy = await startProxy(database.url);
    await open(proxy.url, database.url);
  });
  afterEach(async () => {
    await proxy.close();
    await database.drop();
  });

  test.each(['cut', 'stopUp'] as const)(
    'for longer than a heartbeat lasts (%s): the job gives way to its successor',
    async (outage) => {
      await shop.work();
      const jobId = await shop.ask(stuck, {}, 'orders');
      await shop.waiting(jobId);
      proxy[outage]();
      // Whoever may take the job over must find it given up: its signal aborts although nobody can tell it anything.
      await stuck.interrupted(jobId);
      proxy.restore();
      expect(await shop.finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 2 });
      expect(await shop.typesOf(jobId)).toContain('requeued');
    },
    60_000,
  );

  test('when a job is asked for: nothing is started, and the caller is told', async () => {
    proxy.cut();
    await expect(shop.ask(echo, { text: '' })).rejects.toThrow();
    proxy.restore();
    await shop.work();
    expect(await shop.finished(await shop.ask(echo, { text: '' }))).toMatchObject({ state: 'succeeded' });
    expect(await deps.control.prisma.job.count()).toBe(1);
  });

  test('when an entry is delivered: the job waits for the repair pass', async () => {
    const jobId = await shop.ask(echo, { text: '' });
    proxy.cut();
    await shop.work();
    await deps.queue.ping();
    proxy.restore();
    await deps.control.prisma.$executeRaw`update job set due_at = due_at - interval '10 seconds'`;
    expect(await shop.finished(jobId)).toMatchObject({ state: 'succeeded' });
  });
});
