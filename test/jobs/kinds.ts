/** Kinds of jobs for the tests of the runner. */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { AppError } from '../../src/errors.ts';
import { defineJob, type JobKind } from '../../src/jobs/define-job.ts';

const common = {
  queue: 'operations' as const,
  backoffMs: () => 50,
};

/** Says what it was given. */
export const echo = defineJob({
  ...common,
  name: 'echo',
  payload: z.strictObject({ text: z.string() }),
  steps: ['listen', 'speak'],
  exclusive: false,
  attempts: 1,
  whenInterrupted: 'resume',
  async run({ payload, step, note }) {
    await step('listen', async (progress) => {
      for (let done = 0; done <= 1000; done += 1) progress({ done, total: 1000 });
    });
    note('heard', { text: payload.text });
    return step('speak', async () => ({ text: payload.text }));
  },
});

const aborted = new Map<string, () => void>();

/** Its first attempt never ends by itself; later ones succeed at once. */
export const stuck = {
  ...defineJob({
    ...common,
    name: 'stuck',
    payload: z.strictObject({}),
    steps: ['wait'],
    exclusive: true,
    attempts: 1,
    whenInterrupted: 'resume',
    run: ({ job, step, signal }) =>
      step('wait', async (progress) => {
        signal.addEventListener('abort', () => aborted.get(job.id)?.());
        progress({ done: job.attempt === 1 ? 9 : 1, total: 10 });
        if (job.attempt === 1) await pause(600_000, undefined, { signal });
        return { attempt: job.attempt };
      }),
  }),
  /** Resolves when the signal of a job that runs in this process aborts. */
  interrupted: (jobId: string) => new Promise<void>((resolve) => aborted.set(jobId, resolve)),
};

/** As `stuck`, but must not be run again. */
export const fragile = defineJob({ ...stuck, name: 'fragile', exclusive: false, whenInterrupted: 'fail' });

/** Meets an outage on its first two attempts; the first is asked for a pause. */
export const flaky = defineJob({
  ...common,
  name: 'flaky',
  payload: z.strictObject({}),
  steps: ['try'],
  exclusive: false,
  attempts: 3,
  whenInterrupted: 'resume',
  async run({ job }) {
    if (job.attempt === 1) throw new AppError('SINK_UNREACHABLE', 'busy', { retryAfterSeconds: 1 });
    if (job.attempt === 2) throw new AppError('DATABASE_UNREACHABLE', 'away');
    return { attempt: job.attempt };
  },
});

export const broken = defineJob({
  ...common,
  name: 'broken',
  payload: z.strictObject({}),
  steps: ['break'],
  exclusive: false,
  attempts: 3,
  whenInterrupted: 'resume',
  async run(): Promise<never> {
    throw new AppError('STATEMENT_FAILED', 'no such table', { detail: 'Key (ssn)=(123)', sqlstate: '42P01' });
  },
});

interface Gate {
  readonly open: Promise<void>;
  readonly release: () => void;
}
const counts = new Map<string, number>();
const gates = new Map<string, Gate>();
const gate = (counter: string): Gate => {
  const known = gates.get(counter);
  if (known !== undefined) return known;
  let release = (): void => undefined;
  const made = { open: new Promise<void>((resolve) => (release = resolve)), release: () => release() };
  gates.set(counter, made);
  return made;
};

/** Counts how often it was run for a name in this process; each waits until the name is released. */
export const counting = {
  ...defineJob({
    ...common,
    name: 'counting',
    payload: z.strictObject({ counter: z.string() }),
    steps: ['wait'],
    exclusive: false,
    attempts: 1,
    whenInterrupted: 'resume',
    run: ({ payload: { counter }, step }) =>
      step('wait', async () => {
        counts.set(counter, (counts.get(counter) ?? 0) + 1);
        await gate(counter).open;
      }),
  }),
  runs: (counter: string): number => counts.get(counter) ?? 0,
  release: (counter: string): void => gate(counter).release(),
};

/** Says what PostgreSQL's jsonb does not take. */
export const awkward = defineJob({
  ...common,
  name: 'awkward',
  payload: z.strictObject({}),
  steps: ['say'],
  exclusive: false,
  attempts: 1,
  whenInterrupted: 'resume',
  async run({ note }) {
    note('half \ud83d a pair, and \0', { big: 2n ** 40n, none: undefined });
    return { text: 'NUL \0', at: new Date(0) };
  },
});

export const kinds = [echo, stuck, fragile, flaky, broken, counting, awkward] as readonly JobKind[];
