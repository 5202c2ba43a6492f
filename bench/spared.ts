import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
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
const body = { kind: 'backfill', table: 'item', set: { amount: 'amount + 1' }, parallelism: 4 };

export const spared = defineBench({
  name: 'spared',
  summary: `p99 of an application's ${perSecond} requests/s beside a backfill of ${rows.toLocaleString('en')} rows in 4 ranges, over ${seconds} s`,
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
        const alone = await load(url);
        const beside = async (throttle?: DataMigrationRun['throttle']) => {
          for (const sql of ['vacuum analyze item', 'checkpoint']) await place.query(url, sql);
          const id = randomUUID();
          const stop = new AbortController();
          let changed = 0;
          const running = migrate(url, body, {
            id,
            ...(throttle === undefined ? {} : { throttle }),
            signal: stop.signal,
            report: (event) => {
              if (event.type === 'progress') changed = event.progress.changed;
            },
          }).catch((error: unknown) => {
            if (!stop.signal.aborted) throw error;
            return undefined;
          });
          const latencies = await load(url);
          stop.abort();
          if ((await running) === undefined)
            await cancelDataMigration(
              { source: parseTarget(url), written: null },
              id,
              new AbortController().signal,
            );
          return { ...latencies, changed };
        };
        const unthrottled = await beside();
        const throttled = await beside((limits) =>
          openThrottle({
            databases: [
              {
                name: 'bench',
                target: parseTarget(url),
                limits: () => ({ ...throttlePolicy.parse({}), ...limits() }),
              },
            ],
            applicationName: 'switchback',
            tell: () => undefined,
          }),
        );
        const reference = { what: 'alone', value: alone.p99 };
        return [
          { what: 'p99 without the throttle', value: unthrottled.p99, unit: 'ms', reference },
          { what: 'p99 with the throttle', value: throttled.p99, unit: 'ms', reference },
          {
            what: 'rows changed with the throttle',
            value: throttled.changed,
            unit: 'rows',
            reference: { what: 'without', value: unthrottled.changed },
          },
        ];
      },
      { shared_preload_libraries: 'pg_stat_statements' },
    ),
});

/** In a process of its own, so that it does not wait for ours. */
async function load(url: string): Promise<Latencies> {
  const script = new URL('load.ts', import.meta.url).pathname;
  const words = ['--import', 'tsx', script, url, String(perSecond), String(seconds)];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  return JSON.parse(stdout) as Latencies;
}
