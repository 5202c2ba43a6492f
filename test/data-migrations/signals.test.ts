/** Every signal on every major that is installed: PostgreSQL's views differ. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Load,
  type Look,
  ownMark,
  type Signal,
  type ThrottleLimits,
} from '../../src/data-migrations/define-signal.ts';
import { checkpoints } from '../../src/data-migrations/signals/checkpoints.ts';
import { connections } from '../../src/data-migrations/signals/connections.ts';
import { deadlocks } from '../../src/data-migrations/signals/deadlocks.ts';
import { disk } from '../../src/data-migrations/signals/disk.ts';
import { signals } from '../../src/data-migrations/signals/index.ts';
import { lockWaits } from '../../src/data-migrations/signals/lock-waits.ts';
import { replication } from '../../src/data-migrations/signals/replication.ts';
import { slots } from '../../src/data-migrations/signals/slots.ts';
import { statementLatency } from '../../src/data-migrations/signals/statement-latency.ts';
import { walRate } from '../../src/data-migrations/signals/wal-rate.ts';
import { openThrottle, type ThrottleEvent } from '../../src/data-migrations/throttle.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { availableMajors, startServer, type TestDatabase, type TestServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { limitsWith } from './limits.ts';

const applicationName = 'switchback:of-the-test';

describe.each(availableMajors)('PostgreSQL %i', (major) => {
  let server: TestServer;
  let database: TestDatabase;
  let session: Session;
  let app: pg.Client;
  let time = 0;

  const connect = async (name: string, url = database.url): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url, application_name: name });
    await client.connect();
    return client;
  };

  /** Looks, as the throttle does, with time standing still unless a test moves it. */
  const looker = (signal: Signal, limits: ThrottleLimits = limitsWith({})) => {
    const look: Look = signal.watch();
    return (): Promise<readonly Load[]> =>
      look(
        {
          query: (sql, values) => session.query(`${sql} ${ownMark}`, values),
          applicationName,
          now: () => time,
        },
        limits,
      );
  };

  beforeAll(async () => {
    server = await startServer(major, {
      shared_preload_libraries: 'pg_stat_statements',
      max_wal_senders: '5',
      autovacuum: 'off',
    });
    database = await server.createDatabase();
    session = await openSession(parseTarget(database.url), { applicationName: 'switchback:throttle' });
    app = await connect('shop');
    await app.query('create extension pg_stat_statements; create table item (id int primary key, text text)');
    await app.query("insert into item select n, repeat('x', 100) from generate_series(1, 1000) n");
  });
  afterAll(async () => {
    await app?.end();
    await session?.close();
    await server?.stop('immediate');
  });

  const admitOnce = async (url: string): Promise<{ events: ThrottleEvent[]; goOn: boolean }> => {
    const events: ThrottleEvent[] = [];
    const throttle = openThrottle({
      databases: [{ name: 'orders', target: parseTarget(url), limits: () => limitsWith({}) }],
      applicationName,
      tell: (event) => events.push(event),
    });
    try {
      return { goOn: (await throttle.admit()).goOn, events };
    } finally {
      await throttle.close();
    }
  };

  test('all can be read, but for the disk, of which PostgreSQL knows nothing', async () => {
    const { goOn, events } = await admitOnce(database.url);
    expect(goOn).toBe(true);
    expect(events.map(({ data }) => data.signal)).toEqual(['disk']);
    expect(events[0]?.message).toMatch(/^Not watched: disk of orders: PostgreSQL cannot tell/);
  });

  test('a role without rights is told which are not watched, and what it lacks', async () => {
    const role = `plain_${randomUUID().slice(0, 8)}`;
    await app.query(`create role ${role} login password 'x'`);
    const standby = await server.startStandby('standby-1');
    try {
      const url = new URL(database.url);
      url.username = role;
      url.password = 'x';
      await waitFor(async () => {
        const { rows } = await app.query("select from pg_stat_replication where state = 'streaming'");
        return rows.length === 1;
      });
      const { goOn, events } = await admitOnce(url.href);
      expect(goOn).toBe(true);
      const why = Object.fromEntries(events.map(({ data }) => [data.signal, data.reason]));
      expect(why).toMatchObject({
        replication: expect.stringContaining('grant it pg_read_all_stats'),
        'statement-latency': expect.stringContaining('grant it pg_read_all_stats'),
      });
      expect(Object.keys(why).sort()).toEqual(['disk', 'replication', 'statement-latency']);
    } finally {
      await standby.stop();
    }
  });

  test('replication: a standby whose replay stands still is behind, by time and by bytes; one that is gone is not', async () => {
    const standby = await server.startStandby('orders-2');
    const look = looker(
      replication,
      limitsWith({ replicationLagMs: 10_000, replicationLagBytes: 1_048_576 }),
    );
    const levels = async (): Promise<number[]> => (await look()).map(({ level }) => level);
    await waitFor(levels, { until: (seen) => seen.length === 1 && seen[0] === 0 });

    const replica = await connect('test', standby.url());
    await replica.query('select pg_wal_replay_pause()');
    await waitFor(
      async () => (await replica.query('select pg_is_wal_replay_paused() as paused')).rows[0]?.paused,
    );
    await app.query("insert into item select n, repeat('y', 200) from generate_series(2001, 3000) n");
    expect(Math.max(...(await levels()))).toBeLessThan(0.7);
    time += 14_000;
    const [behind] = await look();
    expect(behind?.level).toBeGreaterThanOrEqual(1.4);
    expect(behind?.says).toMatch(/^standby orders-2 is 1\d(\.\d)? s behind, limit 10 s$/);

    await app.query("insert into item select n, repeat('z', 900) from generate_series(3001, 20000) n");
    const [far] = await look();
    expect(far?.says).toMatch(/^standby orders-2 is \d+(\.\d+)? MiB of WAL behind, limit 1 MiB$/);
    expect(far?.level).toBeGreaterThan(10);

    await replica.query('select pg_wal_replay_resume()');
    await waitFor(levels, { until: (seen) => seen.length === 1 && (seen[0] ?? 9) < 0.75 });
    await replica.query('select pg_wal_replay_pause()');
    await replica.end();
    await standby.stop();
    await waitFor(levels, { until: (seen) => seen.length === 0 });
  });

  test('slots: a slot that nobody reads holds back WAL', async () => {
    const look = looker(slots, limitsWith({ retainedWalBytes: 1_048_576 }));
    expect(await look()).toEqual([]);
    // A new slot keeps what came since the last checkpoint.
    await app.query('checkpoint');
    await app.query("select pg_create_physical_replication_slot('gone', true)");
    try {
      expect((await look())[0]?.level).toBeLessThan(1);
      await app.query("insert into item select n, repeat('z', 900) from generate_series(30001, 35000) n");
      const [held] = await look();
      expect(held?.level).toBeGreaterThan(3);
      expect(held?.says).toMatch(
        /^replication slot gone, which nobody reads, holds back [\d.]+ MiB of WAL, limit 1 MiB$/,
      );
    } finally {
      await app.query("select pg_drop_replication_slot('gone')");
    }
  });

  test('lock waits: those behind our sessions count, and those behind them; others do not', async () => {
    const look = looker(lockWaits, limitsWith({ lockWaitMs: 1 }));
    const [ours, first, second, third] = await Promise.all([
      connect(`${applicationName}:range-1`),
      connect('shop'),
      connect('shop'),
      connect(`${applicationName}x`),
    ]);
    try {
      await third.query('begin; lock table item in row exclusive mode');
      await first.query('begin; update item set text = $$a$$ where id = 1');
      const waitingForOther = second.query('update item set text = $$b$$ where id = 1');
      await waitFor(async () => (await waiting(app)) === 1);
      expect(await look()).toEqual([]);
      await first.query('rollback');
      await waitingForOther;

      await ours.query('begin; update item set text = $$a$$ where id = 1');
      await first.query('begin');
      const behindUs = first.query('update item set text = $$b$$ where id = 1');
      await waitFor(async () => (await waiting(app)) === 1);
      const behindThem = second.query('update item set text = $$c$$ where id = 1');
      await waitFor(async () => (await waiting(app)) === 2);
      const [load] = await waitFor(look, { until: ([seen]) => (seen?.level ?? 0) > 1 });
      expect(load?.says).toMatch(
        /^2 session\(s\) wait behind locks of a batch, one of them for .*s, limit 1 ms$/,
      );
      await ours.query('rollback');
      await behindUs;
      await first.query('rollback');
      await behindThem;
      expect(await look()).toEqual([]);
    } finally {
      await Promise.all([ours, first, second, third].map((client) => client.end()));
    }
  });

  test('deadlocks of the last minute count', async () => {
    const look = looker(deadlocks, limitsWith({ deadlocksPerMinute: 1 }));
    const level = async (): Promise<number> => (await look())[0]?.level ?? -1;
    expect(await level()).toBe(0);
    const [one, other] = await Promise.all([connect('shop'), connect('shop')]);
    try {
      for (const client of [one, other]) await client.query("set deadlock_timeout = '10ms'; begin");
      await one.query('update item set text = $$a$$ where id = 10');
      await other.query('update item set text = $$a$$ where id = 11');
      const outcomes = await Promise.allSettled([
        one.query('update item set text = $$b$$ where id = 11'),
        other.query('update item set text = $$b$$ where id = 10'),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      await one.query('rollback');
      await other.query('rollback');
      // A session hands its statistics in with its next statement.
      const counted = async (): Promise<number> => {
        await Promise.all([one, other].map((client) => client.query('select 1')));
        return level();
      };
      await waitFor(counted, { until: (seen) => seen === 1 });
      time += 61_000;
      expect(await level()).toBe(0);
    } finally {
      await Promise.all([one.end(), other.end()]);
    }
  });

  test("statement latency: the application's statements count, ours do not", async () => {
    const look = looker(statementLatency, limitsWith({ timesUsualLatency: 3, meanLatencyMs: 100 }));
    const nap = async (client: pg.Client, seconds: number, times: number): Promise<void> => {
      for (let call = 0; call < times; call += 1)
        await client.query('select pg_sleep($1::float8)', [seconds]);
    };
    await app.query('select pg_stat_statements_reset()');
    await nap(app, 0.02, 10);
    expect(await look()).toEqual([]);

    const ours = await connect(`${applicationName}:range-1`);
    await ours.query(`update item set text = 'q' where id = 101 and pg_sleep(3) is not null ${ownMark}`);
    await ours.end();
    await nap(app, 0.02, 20);
    const calm = await look();
    expect(calm[0]?.says).toMatch(/^the application's statements take .*s on average, limit 100 ms$/);
    for (const { level } of calm) expect(level).toBeLessThan(1);

    // Few calls say nothing yet; after a while they are judged.
    await nap(app, 0.5, 3);
    expect(await look()).toEqual(calm);
    time += 15_000;
    const [mean, times] = await look();
    expect(mean?.level).toBeGreaterThan(3);
    expect(times?.level).toBeGreaterThan(1);
    expect(times?.says).toMatch(
      /^the application's statements take [\d.]+ times as long as usual, limit 3 times$/,
    );
    time += 15_000;
    for (const { level } of await look()) expect(level).toBeLessThan(1);
  });

  test('WAL rate, over what was written since the last look', async () => {
    const look = looker(walRate, limitsWith({ walBytesPerSecond: 1_048_576 }));
    expect((await look())[0]?.level).toBe(0);
    await app.query("insert into item select n, repeat('z', 900) from generate_series(40001, 50000) n");
    time += 1_000;
    const [load] = await look();
    expect(load?.level).toBeGreaterThan(5);
    expect(load?.says).toMatch(/^the server writes [\d.]+ MiB of WAL a second, limit 1 MiB$/);
    time += 60_000;
    expect((await look())[0]?.level).toBe(0);
  });

  test('checkpoints that were asked for', async () => {
    const look = looker(checkpoints, limitsWith({ checkpointsPerMinute: 1 }));
    const level = async (): Promise<number> => (await look())[0]?.level ?? -1;
    expect(await level()).toBe(0);
    await app.query('checkpoint');
    await app.query('checkpoint');
    await waitFor(level, { until: (seen) => seen >= 2 });
    time += 61_000;
    expect(await level()).toBe(0);
  });

  test('the disk, by its stated size', async () => {
    const sized = async (totalBytes: number): Promise<Load | undefined> =>
      (await looker(disk, limitsWith({ freeDiskBytes: 134_217_728, disk: { totalBytes } }))())[0];
    expect((await sized(2 ** 40))?.level).toBeLessThan(0.01);
    expect((await sized(1_000))?.level).toBe(Number.POSITIVE_INFINITY);
    const { rows } = await app.query<{ size: string }>(
      'select sum(pg_database_size(oid)) + (select sum(size) from pg_ls_waldir()) as size from pg_database',
    );
    const load = await sized(Number(rows[0]?.size) + 67_108_864);
    expect(load?.level).toBeGreaterThan(1.75);
    expect(load?.level).toBeLessThan(2.3);
    expect(load?.says).toMatch(/^[\d.]+ MiB are free on the disk, limit 128 MiB$/);
  });

  test('connections, as a share of max_connections', async () => {
    const look = looker(connections, limitsWith({ connectionsShare: 0.02 }));
    const before = (await look())[0]?.level ?? 0;
    const more = await Promise.all([1, 2, 3].map(() => connect('shop')));
    const [load] = await look();
    await Promise.all(more.map((client) => client.end()));
    expect(load?.level).toBeCloseTo(before + 3 / 300 / 0.02);
    expect(load?.says).toMatch(/^\d+ of 300 connections are taken, limit 2 %$/);
  });
});

test('there is a test above for each that reads PostgreSQL', () => {
  const tested = [
    replication,
    slots,
    lockWaits,
    deadlocks,
    statementLatency,
    walRate,
    checkpoints,
    disk,
    connections,
  ];
  const others = signals.filter((signal) => !tested.includes(signal)).map(({ name }) => name);
  expect(others).toEqual(['application-latency', 'time-window']);
});

async function waiting(client: pg.Client): Promise<number> {
  const { rows } = await client.query(
    "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  );
  return rows[0].waiting;
}
