import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { JobKind } from './define-job.ts';
import type { JobDependencies } from './dependencies.ts';
import { kinds as allKinds } from './kinds/index.ts';
import type { QueueEntry } from './queue.ts';
import { repair } from './repair.ts';
import { type RunningAttempt, runEntry } from './runner.ts';

export interface WorkerOptions {
  readonly kinds?: readonly JobKind[];
  readonly heartbeatMs?: number;
  readonly staleMs?: number;
  readonly repairMs?: number;
}

export interface RunningWorker {
  readonly name: string;
  /** Takes no more jobs, lets those under way go on for the grace period, then hands them back. */
  stop(): Promise<void>;
}

/** Starts to take jobs from both queues, and to repair what crashes leave. */
export async function startWorker(
  deps: JobDependencies,
  options: WorkerOptions = {},
): Promise<RunningWorker> {
  const { kinds = allKinds, heartbeatMs = 2_000, staleMs = 15_000, repairMs = 5_000 } = options;
  const name = `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`;
  const running = new Map<string, RunningAttempt>();
  const onError = (error: Error): void => deps.log.warn({ err: error }, 'the queue does not answer');
  const handle = (entry: QueueEntry): Promise<void> =>
    runEntry(deps, kinds, entry, { worker: name, heartbeatMs, staleMs }, running);
  const { operations, signals, shutdownGraceSeconds } = deps.config.worker;
  const consumers = [
    await deps.queue.consume('operations', { concurrency: operations, onError }, handle),
    await deps.queue.consume('signals', { concurrency: signals, onError }, handle),
  ];
  const repairing = startRepair(deps, kinds, staleMs, repairMs);
  return {
    name,
    async stop() {
      await repairing.stop();
      const closed = Promise.all(consumers.map((consumer) => consumer.close()));
      const grace = new AbortController();
      await Promise.race([
        closed,
        pause(shutdownGraceSeconds * 1000, undefined, { signal: grace.signal, ref: false }),
      ]);
      for (const attempt of running.values())
        attempt.abort(new AppError('JOB_INTERRUPTED', 'The worker shuts down.'));
      await closed;
      grace.abort();
    },
  };
}

function startRepair(
  deps: JobDependencies,
  kinds: readonly JobKind[],
  staleMs: number,
  repairMs: number,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await repair(deps, kinds, { staleMs });
      } catch (error) {
        deps.log.warn({ err: error }, 'a repair pass failed; the next one does its work');
      }
      await Promise.allSettled([pause(repairMs, undefined, { signal: stopping.signal })]);
    }
  };
  const done = loop();
  return {
    async stop() {
      stopping.abort();
      await done;
    },
  };
}
