import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readEvents } from '../../src/db/control/job-rows.ts';
import type { JobKind } from '../../src/jobs/define-job.ts';
import { enqueue } from '../../src/jobs/enqueue.ts';
import { openEventTails } from '../../src/jobs/events.ts';
import { cancelJob, readJob, waitForJob } from '../../src/jobs/jobs.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { hasRedis, startRedis, type TestRedis } from '../support/redis.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';
import { broken, echo, flaky, fragile, kinds, stuck } from './kinds.ts';

const quick = { kinds, heartbeatMs: 100, staleMs: 1_000, repairMs: 200 };

describe.each(['postgres', 'redis'] as const)('on %s', (backend) => {
  const run = test.runIf(backend === 'postgres' || hasRedis);
  let redis: TestRedis | undefined;
  let switchback: TestSwitchback;
  const workers: RunningWorker[] = [];
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    if (backend === 'redis' && hasRedis) redis = await startRedis();
  });
  afterAll(() => redis?.stop());
  beforeEach(async () => {
    switchback = await openSwitchback(
      { alerts: { overdueSeconds: 1 }, worker: { shutdownGraceSeconds: 1 } },
      redis === undefined ? {} : { queueUrl: redis.url },
    );
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const worker of workers.splice(0)) await worker.stop();
    await switchback.close();
  });

  const work = async (options = quick): Promise<RunningWorker> => {
    const worker = await startWorker(switchback.deps, options);
    workers.push(worker);
    return worker;
  };
  const ask = async <Payload>(
    kind: JobKind<string, Payload>,
    payload: Payload,
    database: string | null = null,
  ): Promise<string> =>
    (await enqueue(switchback.deps, { kind, database, payload, requestedBy: 'ci' })).jobId;
  const finished = async (jobId: string) => {
    const tails = openEventTails(switchback.deps.control);
    try {
      return await waitForJob({ control: switchback.deps.control, tails }, jobId, {
        seconds: 30,
        signal: new AbortController().signal,
      });
    } finally {
      tails.close();
    }
  };
  const eventsOf = async (jobId: string) => readEvents(switchback.deps.control.prisma, jobId, 0, 1000);
  const running = (jobId: string) =>
    waitFor(async () => (await readJob(switchback.deps.control, jobId)).step === 'wait', {
      what: 'the step "wait"',
    });
  const startChild = async (): Promise<ChildProcess> => {
    const script = path.join(import.meta.dirname, 'worker-process.ts');
    const { controlUrl, queueUrl, prefix } = switchback;
    const child = spawn(process.execPath, ['--import', 'tsx', script, controlUrl, queueUrl, prefix], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(child.stdout, 'data');
    return child;
  };

  run('runs a job to its end and numbers its events without a gap', async () => {
    await work();
    const jobId = await ask(echo, { text: 'hello' });
    expect(await finished(jobId)).toMatchObject({
      state: 'succeeded',
      percent: 100,
      attempt: 1,
      result: { text: 'hello' },
    });
    const events = await eventsOf(jobId);
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

  run('does nothing when an entry is delivered a second time', async () => {
    await work();
    const jobId = await ask(echo, { text: 'once' });
    await finished(jobId);
    await switchback.deps.queue.add('operations', { jobId, attempt: 1 });
    const later = await ask(echo, { text: 'later' });
    await finished(later);
    expect(await readJob(switchback.deps.control, jobId)).toMatchObject({ state: 'succeeded', attempt: 1 });
  });

  run('tries again after an outage, and not after a failure', async () => {
    await work();
    expect(await finished(await ask(flaky, {}))).toMatchObject({
      state: 'succeeded',
      attempt: 3,
      result: { attempt: 3 },
    });
    expect(await finished(await ask(broken, {}))).toMatchObject({
      state: 'failed',
      attempt: 1,
      error: { code: 'STATEMENT_FAILED' },
    });
  });

  run('lets a worker that was killed be succeeded by another', async () => {
    const child = await startChild();
    const jobId = await ask(stuck, {}, 'orders');
    await running(jobId);
    child.kill('SIGKILL');
    await work();
    expect(await finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 2, result: { attempt: 2 } });
    expect((await eventsOf(jobId)).map((event) => event.type)).toContain('requeued');
  });

  run('fails a job that must not be run again, when its worker was killed', async () => {
    const child = await startChild();
    const jobId = await ask(fragile, {});
    await running(jobId);
    child.kill('SIGKILL');
    await work();
    expect(await finished(jobId)).toMatchObject({ state: 'failed', error: { code: 'JOB_INTERRUPTED' } });
  });

  run(
    'hands a job back when it shuts down',
    async () => {
      const first = await work({ ...quick, repairMs: 60_000 });
      const jobId = await ask(stuck, {}, 'orders');
      await running(jobId);
      await first.stop();
      expect(await readJob(switchback.deps.control, jobId)).toMatchObject({ state: 'queued', attempt: 1 });
      await work();
      expect(await finished(jobId)).toMatchObject({ state: 'succeeded', attempt: 2 });
    },
    90_000,
  );

  run('cancels a job that runs, and one that waits', async () => {
    const waiting = await ask(stuck, {}, 'billing');
    expect(await cancelJob(switchback.deps.control, waiting, 'operator')).toMatchObject({
      state: 'cancelled',
    });
    await work();
    const jobId = await ask(stuck, {}, 'orders');
    await running(jobId);
    await cancelJob(switchback.deps.control, jobId, 'operator');
    expect(await finished(jobId)).toMatchObject({
      state: 'cancelled',
      error: { code: 'JOB_CANCELLED' },
      cancelRequestedBy: 'operator',
    });
    await expect(
      cancelJob(
        switchback.deps.control,
        await ask(echo, { text: '' }).then(async (id) => (await finished(id), id)),
        'x',
      ),
    ).rejects.toMatchObject({ code: 'JOB_ALREADY_FINISHED' });
  });

  run('lets one exclusive job through of twenty at once, and names it to the others', async () => {
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => ask(stuck, {}, 'orders')));
    const [first] = answers.filter((answer) => answer.status === 'fulfilled');
    const refused = answers.filter((answer) => answer.status === 'rejected');
    expect(refused).toHaveLength(19);
    for (const { reason } of refused)
      expect(reason).toMatchObject({ code: 'DATABASE_BUSY', details: { job: first?.value } });
    await expect(ask(stuck, {}, 'billing')).resolves.toBeTypeOf('string');
  });

  run('adds a queued row again whose entry a crash has lost', async () => {
    const jobId = await ask(echo, { text: 'lost' });
    await work({ ...quick, repairMs: 60_000 });
    await finished(jobId);
    const { prisma } = switchback.deps.control;
    const ago = new Date(Date.now() - 60_000);
    await prisma.job.update({
      where: { id: jobId },
      data: { state: 'queued', attempt: 1, dueAt: ago, finishedAt: null },
    });
    await work();
    await waitFor(async () => (await readJob(switchback.deps.control, jobId)).state === 'succeeded', {
      what: 'the second attempt',
    });
  });

  run('tells of an overdue job once, while it still runs', async () => {
    await work();
    const jobId = await ask(stuck, {}, 'orders');
    const { prisma } = switchback.deps.control;
    const told = () => prisma.alert.findMany({ where: { jobId } });
    await waitFor(async () => (await told()).length > 0, { what: 'an alert' });
    expect(await told()).toMatchObject([
      { condition: 'job-overdue', severity: 'warning', database: 'orders' },
    ]);
    expect(await readJob(switchback.deps.control, jobId)).toMatchObject({ state: 'running' });
    await cancelJob(switchback.deps.control, jobId, 'operator');
    await finished(jobId);
    expect(await told()).toHaveLength(1);
  });
});
