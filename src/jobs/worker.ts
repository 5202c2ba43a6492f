import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { JobKind } from './define-job.ts';
import type { JobDependencies } from './dependencies.ts';
import { kinds as allKinds } from './kinds/index.ts';
import { vaultExpiry } from './kinds/vault-expiry.ts';
import type { QueueEntry } from './queue.ts';
import { sweepAllScratches } from './rehearsals/sweep-scratches.ts';
import { prune, repair } from './repair.ts';
import { runEntry } from './runner.ts';
import { askForExpiry } from './vault/ask-for-expiry.ts';

export interface WorkerOptions {
  readonly kinds?: readonly JobKind[];
  readonly heartbeatMs?: number;
  /** A job whose heartbeat is older than this is taken over by another worker. */
  readonly staleMs?: number;
  readonly repairMs?: number;
  /** How often the vaults' expired entries are removed, by all workers together. */
  readonly expiryMs?: number;
  /** How often scratch databases are looked for that a worker which is gone has left. */
  readonly sweepMs?: number;
}

export interface RunningWorker {
  readonly name: string;
  /**
   * Takes no more jobs, lets those under way go on for the grace period, then hands them back. What does not heed that
   * either is left behind: its heartbeat ends with the process, and another worker takes it over.
   */
  stop(): Promise<void>;
}

const pruneMs = 60_000;
/** How long an aborted job may take to end its statement and to write its outcome. */
const abortMs = 15_000;

/** Starts to take jobs from all queues, and to repair what crashes leave. */
export async function startWorker(
  deps: JobDependencies,
  options: WorkerOptions = {},
): Promise<RunningWorker> {
  const {
    kinds = allKinds,
    heartbeatMs = 2_000,
    staleMs = 15_000,
    repairMs = 5_000,
    expiryMs = 3_600_000,
    sweepMs = 600_000,
  } = options;
  const name = `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`;
  const shutdown = new AbortController();
  // Each running job listens.
  setMaxListeners(0, shutdown.signal);
  const runner = { worker: name, kinds, heartbeatMs, staleMs, shutdown: shutdown.signal };
  const onError = (error: Error): void => deps.log.warn({ err: error }, 'the queue does not answer');
  const handle = (entry: QueueEntry): Promise<void> => runEntry(deps, entry, runner);
  const { operations, dataMigrations, signals, shutdownGraceSeconds } = deps.config.worker;
  const consumers = [
    await deps.queue.consume('operations', { concurrency: operations, onError }, handle),
    await deps.queue.consume('data-migrations', { concurrency: dataMigrations, onError }, handle),
    await deps.queue.consume('signals', { concurrency: signals, onError }, handle),
  ];
  const loops = [
    repeat(repairMs, deps, () => repair(deps, kinds, { staleMs })),
    repeat(pruneMs, deps, () => prune(deps)),
    repeat(sweepMs, deps, () => sweepAllScratches(deps)),
    ...(kinds.some(({ name: kind }) => kind === vaultExpiry.name)
      ? [repeat(expiryMs / 6, deps, () => askForExpiry(deps, expiryMs), { rested: false })]
      : []),
  ];
  return {
    name,
    async stop() {
      const closed = Promise.all([
        ...loops.map((loop) => loop.stop()),
        ...consumers.map((consumer) => consumer.close()),
      ]);
      if (await within(shutdownGraceSeconds * 1000, closed)) return;
      shutdown.abort(new AppError('JOB_INTERRUPTED', 'The worker shuts down.'));
      if (!(await within(abortMs, closed)))
        deps.log.error('jobs that do not end are left behind; another worker takes them over');
    },
  };
}

/** Does the work again and again, with pauses; where it has not `rested` yet it begins with one. */
function repeat(
  everyMs: number,
  { log }: Pick<JobDependencies, 'log'>,
  work: () => Promise<void>,
  { rested = true }: { rested?: boolean } = {},
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const rest = (): Promise<unknown> =>
    Promise.allSettled([pause(everyMs, undefined, { signal: stopping.signal })]);
  const loop = async (): Promise<void> => {
    if (!rested) await rest();
    while (!stopping.signal.aborted) {
      try {
        await work();
      } catch (error) {
        log.warn({ err: error }, 'a repair pass failed; the next one does its work');
      }
      await rest();
    }
  };
  const done = loop();
  return {
    stop() {
      stopping.abort();
      return done;
    },
  };
}

/** Whether the work is done in time. @throws what the work throws */
async function within(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  try {
    return await Promise.race([work.then(() => true), pause(milliseconds, false, { signal: over.signal })]);
  } finally {
    over.abort();
  }
}
