import { createPostgresBackend, Queue, withBackend } from 'bullmq';
import pg from 'pg';
import { Pool } from 'undici';
import { v7 as newId } from 'uuid';
import { parseTarget } from '../src/db/target.ts';
import { prepareControl } from '../src/jobs/prepare-control.ts';
import { defineBench, type Measurement } from './define-bench.ts';
import { type Place, startSwitchback, withPlace } from './place.ts';
import { startRedis } from './redis.ts';

const callers = 8;
const seconds = 4;
const rounds = 3;

export const enqueue = defineBench({
  name: 'enqueue',
  summary: `what ${callers} callers enqueue, the best of ${rounds} rounds of ${seconds} s that take turns`,
  run: () =>
    withPlace(async (place) => {
      const redis = await startRedis(place.folder);
      try {
        return [await compare(place, 'PostgreSQL', undefined), await compare(place, 'Redis', redis.url)];
      } finally {
        await redis.stop();
      }
    }),
});

async function compare(place: Place, backend: string, redisUrl: string | undefined): Promise<Measurement> {
  const controlUrl = await place.createDatabase();
  const switchback = await startSwitchback(place, {
    controlUrl,
    ...(redisUrl === undefined ? {} : { queueUrl: redisUrl }),
  });
  const bareUrl = await place.createDatabase();
  await prepareControl(bareUrl, new AbortController().signal);
  const http = new Pool(switchback.url, { connections: callers });
  const bare = await openBare(bareUrl, redisUrl);
  const ours: number[] = [];
  const theirs: number[] = [];
  try {
    const post = async (): Promise<void> => {
      const { statusCode, body } = await http.request({
        method: 'POST',
        path: '/api/health-checks',
        headers: { ...switchback.headers },
        body: '{}',
      });
      await body.dump();
      if (statusCode !== 202) throw new Error(`POST /api/health-checks answered ${statusCode}`);
    };
    await rate(post, 1);
    for (let round = 0; round < rounds; round += 1) {
      theirs.push(await rate(bare.add, seconds));
      ours.push(await rate(post, seconds));
    }
  } finally {
    await http.close();
    await bare.close();
    await switchback.stop();
  }
  return {
    what: `POST /api/health-checks, queue on ${backend}`,
    value: Math.max(...ours),
    unit: 'jobs/s',
    reference: { what: 'two inserts by pg, then queue.add', value: Math.max(...theirs) },
    bound: { atLeast: 0.5 },
  };
}

/** How often per second the callers get the work done. */
async function rate(work: () => Promise<void>, forSeconds: number): Promise<number> {
  const startedAt = performance.now();
  const until = startedAt + forSeconds * 1_000;
  let done = 0;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() < until) {
        await work();
        done += 1;
      }
    }),
  );
  return (done * 1_000) / (performance.now() - startedAt);
}

interface Bare {
  add(): Promise<void>;
  close(): Promise<void>;
}

async function openBare(url: string, redisUrl: string | undefined): Promise<Bare> {
  const pool = new pg.Pool({ connectionString: url, max: callers });
  const queue = redisUrl === undefined ? queueOnPostgres(url) : queueOnRedis(redisUrl);
  await queue.waitUntilReady();
  return {
    async add() {
      const id = newId();
      const client = await pool.connect();
      try {
        await client.query('begin');
        await client.query(
          "insert into job (id, kind, queue, payload, requested_by) values ($1, 'health-check', 'signals', '{}', 'bench')",
          [id],
        );
        await client.query("insert into health_check (id, job_id, requested_by) values ($1, $2, 'bench')", [
          newId(),
          id,
        ]);
        await client.query('commit');
      } finally {
        client.release();
      }
      await queue.add(
        'job',
        { jobId: id, attempt: 1 },
        { jobId: `${id}-1`, removeOnComplete: true, removeOnFail: true },
      );
    },
    async close() {
      await queue.close();
      await pool.end();
    },
  };
}

function queueOnPostgres(url: string): Pick<Queue, 'add' | 'waitUntilReady' | 'close'> {
  const { host, port, user, database, libpqEnvironment } = parseTarget(url);
  const { Queue: PostgresQueue } = withBackend(createPostgresBackend);
  return new PostgresQueue('signals', {
    connection: {
      ...{ host, port, user, database, password: libpqEnvironment.PGPASSWORD },
      ...{ schema: 'bench', migrate: true, max: callers },
    },
  });
}

function queueOnRedis(text: string): Pick<Queue, 'add' | 'waitUntilReady' | 'close'> {
  const { hostname, port } = new URL(text);
  return new Queue('signals', { connection: { host: hostname, port: Number(port) }, prefix: 'bench' });
}
