/** What the tests of jobs do again and again: ask for a job, wait for it, look at its events, kill its worker. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { type Job, readEvents, type StoredEvent } from '../../src/db/control/job-rows.ts';
import type { JobKind } from '../../src/jobs/define-job.ts';
import type { JobDependencies } from '../../src/jobs/dependencies.ts';
import { enqueue } from '../../src/jobs/enqueue.ts';
import { openEventTails } from '../../src/jobs/events.ts';
import { readJob, waitForJob } from '../../src/jobs/jobs.ts';
import { type RunningWorker, startWorker, type WorkerOptions } from '../../src/jobs/worker.ts';
import type { TestSwitchback } from '../support/switchback.ts';
import { waitFor } from '../support/wait.ts';
import { kinds } from './kinds.ts';

/** Everything that takes seconds in production takes parts of one here. */
export const quick = { kinds, heartbeatMs: 100, staleMs: 1_000, repairMs: 200 };

export interface Workshop {
  /** Starts a worker in this process. */
  work(options?: WorkerOptions): Promise<RunningWorker>;
  /** Starts a worker in a process of its own, to be killed. */
  workApart(): Promise<ChildProcess>;
  ask<Payload>(kind: JobKind<string, Payload>, payload: Payload, database?: string | null): Promise<string>;
  read(jobId: string): Promise<Job>;
  /** Waits for the end of a job. */
  finished(jobId: string): Promise<Job>;
  /** Waits until a job is in its step `wait`. */
  waiting(jobId: string): Promise<Job>;
  eventsOf(jobId: string): Promise<StoredEvent[]>;
  typesOf(jobId: string): Promise<string[]>;
  close(): Promise<void>;
}

export function openWorkshop(
  switchback: Pick<TestSwitchback, 'controlUrl' | 'queueUrl' | 'prefix'> & { deps: JobDependencies },
): Workshop {
  const { deps } = switchback;
  const tails = openEventTails(deps.control);
  const workers: RunningWorker[] = [];
  const children: ChildProcess[] = [];
  const workshop: Workshop = {
    async work(options = quick) {
      const worker = await startWorker(deps, options);
      workers.push(worker);
      return worker;
    },
    async workApart() {
      const script = path.join(import.meta.dirname, 'worker-process.ts');
      const { controlUrl, queueUrl, prefix } = switchback;
      const child = spawn(process.execPath, ['--import', 'tsx', script, controlUrl, queueUrl, prefix], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.push(child);
      await once(child.stdout, 'data');
      return child;
    },
    ask: async (kind, payload, database = null) =>
      (await enqueue(deps, { kind, database, payload, requestedBy: 'ci' })).jobId,
    read: (jobId) => readJob(deps.control, jobId),
    finished: (jobId) =>
      waitForJob({ control: deps.control, tails }, jobId, {
        seconds: 40,
        signal: new AbortController().signal,
      }),
    waiting: (jobId) =>
      waitFor(() => workshop.read(jobId), {
        until: (job) => job.state === 'running' && job.step === 'wait',
        what: 'the step "wait"',
      }),
    eventsOf: (jobId) => readEvents(deps.control.prisma, jobId, 0, 1000),
    typesOf: async (jobId) => (await workshop.eventsOf(jobId)).map((event) => event.type),
    async close() {
      for (const child of children.splice(0)) child.kill('SIGKILL');
      for (const worker of workers.splice(0)) await worker.stop();
      tails.close();
    },
  };
  return workshop;
}
