import { setTimeout as pause } from 'node:timers/promises';
import {
  createPostgresBackend,
  type JobsOptions,
  type PostgresPoolConfig,
  Queue,
  type RedisOptions,
  Worker,
  withBackend,
} from 'bullmq';
import { parseTarget, poolConfig } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { type QueueName, queueNames } from './define-job.ts';

/** What the queue carries: which attempt at which job is due. Everything else is in the job's row. */
export interface QueueEntry {
  readonly jobId: string;
  readonly attempt: number;
}

export interface Consumer {
  /** Takes no further entries, and resolves when those under way are acknowledged. */
  close(): Promise<void>;
}

/** BullMQ on Redis or on PostgreSQL, chosen by the URL. */
export interface JobQueue {
  /**
   * Adds an entry; an entry that is there already is not added again.
   * @throws AppError `QUEUE_UNAVAILABLE` within some seconds
   */
  add(queue: QueueName, entry: QueueEntry, delayMs?: number): Promise<void>;
  /** @throws AppError `QUEUE_UNAVAILABLE` */
  ping(): Promise<void>;
  consume(
    queue: QueueName,
    options: { concurrency: number; onError: (error: Error) => void },
    handle: (entry: QueueEntry) => Promise<void>,
  ): Promise<Consumer>;
  close(): Promise<void>;
}

const answerWithinMs = 3_000;

/**
 * Opens the queue. On PostgreSQL, BullMQ's own tables are made in the schema `prefix`, and kept up to date.
 * @throws AppError `QUEUE_UNAVAILABLE`
 */
export async function openQueue(options: { url: string; prefix: string }): Promise<JobQueue> {
  const backend = options.url.startsWith('redis') ? redisBackend(options) : postgresBackend(options);
  const queues = new Map(queueNames.map((name) => [name, backend.queue(name)]));
  const producerOf = (name: QueueName): Producer => {
    const producer = queues.get(name);
    if (producer === undefined) throw new Error(`there is no queue ${name}`);
    return producer;
  };
  const within = <T>(work: Promise<T>): Promise<T> => orUnavailable(options.url, work);
  const close = async (): Promise<void> => {
    await Promise.all([...queues.values()].map(closeOrLeave));
  };
  try {
    for (const queue of queues.values()) await within(queue.waitUntilReady());
  } catch (error) {
    await Promise.allSettled([close()]);
    throw error;
  }
  return {
    async add(name, { jobId, attempt }, delayMs = 0) {
      const entry = { jobId, attempt };
      await within(
        // Finished entries go at once: BullMQ ignores an id that it has, and limits by age or count make it fail jobs
        // falsely by deadlock on PostgreSQL.
        producerOf(name).add('job', entry, {
          jobId: `${jobId}-${attempt}`,
          delay: delayMs,
          removeOnComplete: true,
          removeOnFail: true,
        }),
      );
    },
    async ping() {
      for (const queue of queues.values()) await within(queue.getJobCountByTypes('active'));
    },
    async consume(name, { concurrency, onError }, handle) {
      const worker = backend.worker(name, concurrency, handle);
      worker.on('error', onError);
      await worker.waitUntilReady();
      return { close: () => worker.close() };
    },
    close,
  };
}

/** What both backends' classes have in common, of what is used here. */
interface Producer {
  add(name: string, data: QueueEntry, options: JobsOptions): Promise<unknown>;
  getJobCountByTypes(...types: 'active'[]): Promise<number>;
  waitUntilReady(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  close(): Promise<void>;
  disconnect(): Promise<void>;
}

interface Processor {
  waitUntilReady(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  close(): Promise<void>;
}

interface Backend {
  queue(name: QueueName): Producer;
  worker(name: QueueName, concurrency: number, handle: (entry: QueueEntry) => Promise<void>): Processor;
}

function redisBackend({ url, prefix }: { url: string; prefix: string }): Backend {
  // A producer's command fails when Redis does not come back at the first try; a worker's waits for it.
  const producer = { ...redisConnection(url), maxRetriesPerRequest: 1 };
  return {
    queue: (name) => quiet(new Queue(name, { connection: producer, prefix })),
    worker: (name, concurrency, handle) =>
      new Worker<QueueEntry>(name, (job) => handle(job.data), {
        connection: { ...redisConnection(url), maxRetriesPerRequest: null },
        prefix,
        concurrency,
        ...workerOptions,
      }),
  };
}

function redisConnection(text: string): RedisOptions {
  const url = new URL(text);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 6379),
    username: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    db: Number(url.pathname.slice(1) || 0),
    connectTimeout: answerWithinMs,
    // BullMQ's own way to wait grows to 20 s, and so long the first requests after an outage would fail.
    retryStrategy: (times) => Math.min(1_000, 100 * times),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

function postgresBackend({ url, prefix }: { url: string; prefix: string }): Backend {
  const classes = withBackend(createPostgresBackend);
  const target = parseTarget(url);
  const connection = (max: number): PostgresPoolConfig => ({
    ...poolConfig(target),
    password: target.libpqEnvironment.PGPASSWORD,
    application_name: 'switchback:queue',
    // A schema's name may hold no hyphen in BullMQ.
    schema: prefix.replaceAll('-', '_'),
    migrate: true,
    max,
    connectionTimeoutMillis: answerWithinMs,
  });
  return {
    queue: (name) => quiet(new classes.Queue(name, { connection: connection(4) })),
    // One connection of each worker listens, the others serve its slots.
    worker: (name, concurrency, handle) =>
      new classes.Worker<QueueEntry>(name, (job) => handle(job.data), {
        connection: connection(concurrency + 3),
        concurrency,
        ...workerOptions,
      }),
  };
}

/**
 * Whether an attempt is alive is decided by its row's heartbeat. BullMQ may deliver an entry again when it takes a
 * worker for stalled (a blocked event loop), which is harmless; it must never call the job failed for that. The times
 * are short because an entry whose delivery was lost on the way is delivered again only when its lock has run out.
 */
const workerOptions = { maxStalledCount: 1_000_000, lockDuration: 10_000, stalledInterval: 5_000 };

/** A polite close waits for an answer, which a queue that is away gives late, never, or as an error. */
async function closeOrLeave(queue: Producer): Promise<void> {
  const [closed] = await Promise.allSettled([
    Promise.race([queue.close(), pause(answerWithinMs, 'late', { ref: false })]),
  ]);
  if (closed.status === 'fulfilled' && closed.value !== 'late') return;
  await Promise.race([queue.disconnect(), pause(answerWithinMs, undefined, { ref: false })]);
}

/** Connection errors of a producer show in the call that met them. */
function quiet(queue: Producer): Producer {
  queue.on('error', () => undefined);
  return queue;
}

async function orUnavailable<T>(url: string, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const timeout = pause(answerWithinMs, undefined, { signal: late.signal }).then(() => {
    throw new Error(`no answer within ${answerWithinMs} ms`);
  });
  try {
    return await Promise.race([work, timeout]);
  } catch (error) {
    const { protocol, hostname, port } = new URL(url);
    throw new AppError(
      'QUEUE_UNAVAILABLE',
      `The queue at ${protocol}//${hostname}:${port} cannot be reached. Nothing was started. Try again when it is back.`,
      {},
      { cause: error },
    );
  } finally {
    late.abort();
  }
}
