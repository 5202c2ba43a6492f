import { afterEach, beforeEach, expect, test } from 'vitest';
import { appendEvent, claimJob, endJob, type StoredEvent } from '../../src/db/control/job-rows.ts';
import { type EventTails, openEventTails } from '../../src/jobs/events.ts';
import { waitForJob } from '../../src/jobs/jobs.ts';
import { openSwitchback, type TestSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';
import { echo } from './kinds.ts';
import { openWorkshop, type Workshop } from './workshop.ts';

let switchback: TestSwitchback;
let shop: Workshop;
let tails: EventTails;
beforeEach(async () => {
  switchback = await openSwitchback();
  shop = openWorkshop(switchback);
  tails = openEventTails(switchback.deps.control);
});
afterEach(async () => {
  tails.close();
  await shop.close();
  await switchback.close();
});

const never = (): AbortSignal => new AbortController().signal;
const prisma = () => switchback.deps.control.prisma;

/** A job that this test runs by hand: its first event is `queued`. */
async function begin() {
  const jobId = await shop.ask(echo, { text: '' });
  const attempt = { jobId, attempt: 1 };
  await claimJob(prisma(), attempt, { worker: 'test', kinds: ['echo'] });
  return {
    jobId,
    say: async (count: number) => {
      for (let index = 0; index < count; index += 1)
        await appendEvent(prisma(), attempt, { type: 'note', body: { index } }, 'running');
    },
    end: () =>
      prisma().$transaction((transaction) =>
        endJob(transaction, attempt, 'running', { state: 'succeeded', result: null }),
      ),
  };
}

const numbers = (events: readonly StoredEvent[]): number[] => events.map((event) => event.number);
const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

async function collect(jobId: string, after = 0, signal = never()): Promise<StoredEvent[]> {
  const seen: StoredEvent[] = [];
  for await (const event of tails.tail(jobId, after, signal)) seen.push(event);
  return seen;
}

test('many readers see every event once and in order, and end with the job', async () => {
  const job = await begin();
  const readers = Array.from({ length: 30 }, () => collect(job.jobId));
  await job.say(20);
  await job.end();
  for (const events of await Promise.all(readers)) {
    expect(numbers(events)).toEqual(upTo(22));
    expect(events.at(-1)?.type).toBe('succeeded');
  }
});

test('writers at once leave no gap, and no reader misses one', async () => {
  const job = await begin();
  const reader = collect(job.jobId);
  await Promise.all(Array.from({ length: 8 }, () => job.say(25)));
  await job.end();
  expect(numbers(await reader)).toEqual(upTo(202));
});

test('a reader resumes after the last event that it saw, also behind what is kept in memory', async () => {
  const job = await begin();
  await job.say(600);
  const reader = collect(job.jobId, 5);
  const late = collect(job.jobId, 590);
  await job.end();
  expect(numbers(await reader)).toEqual(upTo(602, 6));
  expect(numbers(await late)).toEqual(upTo(602, 591));
});

test('after the last event of a job that is over there is nothing to wait for', async () => {
  const job = await begin();
  await job.end();
  const startedAt = performance.now();
  expect(await collect(job.jobId, 2)).toEqual([]);
  expect(await collect(job.jobId, 99)).toEqual([]);
  expect(await collect('01a205e1-d654-7500-99ea-d63d4771b8aa')).toEqual([]);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

test('a reader that does not read holds up no other', async () => {
  const job = await begin();
  const lazy = tails.tail(job.jobId, 0, never());
  await lazy.next();
  await job.say(300);
  const eager = collect(job.jobId);
  await job.end();
  expect(numbers(await eager)).toEqual(upTo(302));
  const rest: StoredEvent[] = [];
  for await (const event of lazy) rest.push(event);
  expect(numbers(rest)).toEqual(upTo(302, 2));
});

test('a tail ends when its reader leaves, and when all are closed', async () => {
  const job = await begin();
  const leaving = new AbortController();
  const left = tails.tail(job.jobId, 0, leaving.signal);
  expect((await left.next()).value).toMatchObject({ number: 1 });
  const closed = collect(job.jobId);
  leaving.abort();
  expect((await left.next()).done).toBe(true);
  tails.close();
  await closed;
});

test('events that come while the listening connection is gone are seen once it is back', async () => {
  const job = await begin();
  const reader = tails.tail(job.jobId, 0, never());
  await reader.next();
  const listening = () =>
    prisma().$queryRaw<{ pid: number }[]>`
      select pid from pg_stat_activity where datname = current_database() and application_name = 'switchback:listen'`;
  const [{ pid } = { pid: 0 }] = await waitFor(listening, { until: (rows) => rows.length > 0 });
  await prisma().$queryRaw`select pg_terminate_backend(${pid}::int)`;
  await job.say(3);
  const startedAt = performance.now();
  expect((await reader.next()).value).toMatchObject({ number: 2 });
  // Well before the reader would look by itself.
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  await reader.return(undefined);
});

test('waiting for a job ends with it at once, and without it when the time is over', async () => {
  const job = await begin();
  const deps = { control: switchback.deps.control, tails };
  expect(await waitForJob(deps, job.jobId, { seconds: 0.2, signal: never() })).toMatchObject({
    state: 'running',
  });
  const waiting = waitForJob(deps, job.jobId, { seconds: 20, signal: never() });
  await job.end();
  const endedAt = performance.now();
  expect(await waiting).toMatchObject({ state: 'succeeded' });
  expect(performance.now() - endedAt).toBeLessThan(2_000);
});
