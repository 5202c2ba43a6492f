/** Jobs that rest until they are resumed. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { resumeJob } from '../../src/db/control/job-rows.ts';
import { defineJob, type JobKind, Paused } from '../../src/jobs/define-job.ts';
import { nextEntry } from '../../src/jobs/entries.ts';
import { cancelJob } from '../../src/jobs/jobs.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';
import { openWorkshop, quick, type Workshop } from './workshop.ts';

let switchback: TestSwitchback;
let workshop: Workshop;
/** What is to happen in the transaction that pauses a job. */
let pausing: (jobId: string) => Promise<boolean>;

/** Rests at its first attempt, and succeeds at the second. */
const resting = defineJob({
  ...{ name: 'resting', queue: 'operations', payload: z.strictObject({}), steps: ['rest'] },
  ...{ exclusive: false, attempts: 1, backoffMs: () => 0, whenInterrupted: 'resume' },
  run: async ({ job }) => (job.attempt === 1 ? new Paused(() => pausing(job.id)) : { attempt: job.attempt }),
});

beforeAll(async () => {
  switchback = await openSwitchback();
  workshop = openWorkshop(switchback);
  await workshop.work({ ...quick, kinds: [resting] as readonly JobKind[] });
});
afterAll(async () => {
  await workshop.close();
  await switchback.close();
});
beforeEach(() => {
  pausing = async () => true;
});

const inState = (jobId: string, state: string) =>
  waitFor(() => workshop.read(jobId), { until: (job) => job.state === state, what: state });

test('a job that rests is paused, and runs again when it is resumed', async () => {
  const jobId = await workshop.ask(resting, {});
  const paused = await inState(jobId, 'paused');
  expect(paused).toMatchObject({ attempt: 1, worker: null, heartbeatAt: null, finishedAt: null });
  const { control, queue } = switchback.deps;
  const resume = () =>
    control.prisma.$transaction((transaction) => resumeJob(transaction, { jobId, attempt: 1 }, 'somebody'));
  expect(await resume()).toBe(true);
  expect(await resume()).toBe(false);
  const { queue: name, ...entry } = nextEntry(paused);
  await queue.add(name, entry);
  expect(await workshop.finished(jobId)).toMatchObject({ state: 'succeeded', result: { attempt: 2 } });
  expect(await workshop.typesOf(jobId)).toEqual([
    'queued',
    'started',
    'paused',
    'resumed',
    'started',
    'succeeded',
  ]);
});

test('one that was resumed before it had come to rest runs again at once', async () => {
  pausing = async () => false;
  const jobId = await workshop.ask(resting, {});
  expect(await workshop.finished(jobId)).toMatchObject({ state: 'succeeded', result: { attempt: 2 } });
  expect(await workshop.typesOf(jobId)).not.toContain('paused');
});

test('a paused one is cancelled at once, and so is one that is cancelled while it comes to rest', async () => {
  const { control } = switchback.deps;
  const jobId = await workshop.ask(resting, {});
  await inState(jobId, 'paused');
  expect(await cancelJob(control, jobId, 'somebody')).toMatchObject({ state: 'cancelled' });
  pausing = async (id) => {
    await cancelJob(control, id, 'somebody');
    return true;
  };
  expect(await workshop.finished(await workshop.ask(resting, {}))).toMatchObject({
    ...{ state: 'cancelled', error: { code: 'JOB_CANCELLED' } },
  });
});
