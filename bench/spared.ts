import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { cancelDataMigration } from '../src/data-migrations/control.ts';
import type { DataMigrationRun } from '../src/data-migrations/run.ts';
import { openThrottle } from '../src/data-migrations/throttle.ts';
import { parseTarget } from '../src/db/target.ts';
import { throttlePolicy } from '../src/throttle-config.ts';
import { defineBench } from './define-bench.ts';
import type { Latencies } from './load.ts';
import { migrate } from './migrate.ts';
import { withPlace } from './place.ts';

const rows = Number(process.env.BENCH_ROWS ?? 10_000_000);
const perSecond = 200;
const seconds = 60;
/** What the throttle allows the application's own p99 of the last two seconds: so many times what it is alone, and not less than that. */
const timesAlone = 3;
const leastLimitMs = 10;
const body = { kind: 'backfill', table: 'item', set: { amount: 'amount + 1' }, parallelism: 4 };

export const spared = defineBench({
  name: 'spared',
  summary: `p99 of an application's ${perSecond} requests/s while a backfill of ${rows.toLocaleString('en')} rows in 4 ranges runs, ${seconds} s at most`,
  run: () =>
    withPlace(
      async (place) => {
        const url = await place.createDatabase();
        await place.query(
          url,
          `create extension pg_stat_statements;
         create table item (id bigint primary key, amount int not null, note text);
         insert into item select n, n, md5(n::text) from generate_series(1, ${rows}) as n`,
        );
        const alone = await (await startLoad(url)).latencies;
        const beside = async (throttleFor?: (application: string) => DataMigrationRun['throttle']) => {
          for (const sql of ['vacuum analyze item', 'checkpoint']) await place.query(url, sql);
          const load = await startLoad(url);
          const id = randomUUID();
          const throttle = throttleFor?.(load.address);
          const stop = new AbortController();
          const startedAt = performance.now();
          let changed = 0;
          const running = migrate(url, body, {
            id,
            ...(throttle === undefined ? {} : { throttle }),
            signal: stop.signal,
            report: (event) => {
              if (event.type === 'progress') changed = event.progress.changed;
            },
          })
            .catch((error: unknown) => {
              if (!stop.signal.aborted) throw error;
              return undefined;
            })
            .finally(() => load.stop());
          const latencies = await load.latencies;
          const perSecond = changed / ((performance.now() - startedAt) / 1_000);
          stop.abort();
          if ((await running) === undefined)
            await cancelDataMigration(
              { source: parseTarget(url), written: null },
              id,
              new AbortController().signal,
            );
          return { ...latencies, perSecond };
        };
        const unthrottled = await beside();
        const limit = Math.max(leastLimitMs, timesAlone * alone.p99);
        const throttled = await beside((application) => (limits) => {
          const policy = throttlePolicy.parse({ latency: { url: application, value: '/p99', limit } });
          return openThrottle({
            databases: [
              { name: 'bench', target: parseTarget(url), limits: () => ({ ...policy, ...limits() }) },
            ],
            applicationName: 'switchback',
            tell: () => undefined,
          });
        });
        const reference = { what: 'alone', value: alone.p99 };
        return [
          { what: 'p99 without the throttle', value: unthrottled.p99, unit: 'ms', reference },
          { what: 'p99 with the throttle', value: throttled.p99, unit: 'ms', reference },
          {
            what: 'the backfill with the throttle',
            value: throttled.perSecond,
            unit: 'rows/s',
            reference: { what: 'without', value: unthrottled.perSecond },
          },
        ];
      },
      { shared_preload_libraries: 'pg_stat_statements' },
    ),
});

/** In a process of its own, so that it does not wait for ours. */
async function startLoad(
  url: string,
): Promise<{ address: string; latencies: Promise<Latencies>; stop: () => void }> {
  const script = new URL('load.ts', import.meta.url).pathname;
  const words = ['--import', 'tsx', script, url, String(perSecond), String(seconds)];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const { value } = await lines.next();
    if (value === undefined) throw new Error('The load ended before its time.');
    return value;
  };
  const address = await line();
  return {
    address,
    latencies: line().then((printed) => JSON.parse(printed) as Latencies),
    stop: () => child.kill('SIGTERM'),
  };
}
