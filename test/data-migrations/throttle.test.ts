import { afterAll, beforeAll, expect, test } from 'vitest';
import { configSchema } from '../../src/config.ts';
import {
  defineSignal,
  type Load,
  NotWatched,
  type Signal,
  type ThrottleLimits,
} from '../../src/data-migrations/define-signal.ts';
import {
  admitted,
  openThrottle,
  type Throttle,
  type ThrottleEvent,
} from '../../src/data-migrations/throttle.ts';
import { parseTarget } from '../../src/db/target.ts';
import { throttlePolicy } from '../../src/throttle-config.ts';
import { createDatabase, onShared, type TestDatabase } from '../support/postgres.ts';
import { limitsWith } from './limits.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** A signal whose loads a test decides, and that counts how often it is looked at. */
function fakeSignal(name: string): Signal & { loads: Load[] | Error; looks: number } {
  const state = { loads: [] as Load[] | Error, looks: 0 };
  const signal: Signal = {
    name,
    summary: name,
    everyMs: 1_000,
    isOn: () => true,
    watch: () => async () => {
      state.looks += 1;
      if (state.loads instanceof Error) throw state.loads;
      return state.loads;
    },
  };
  return Object.assign(state, signal);
}

const load = (level: number, says = `load ${level}`): Load => ({ level, says });

interface Place {
  readonly throttle: Throttle;
  readonly events: ThrottleEvent[];
  /** Lets time pass. */
  later(ms: number): void;
}

async function withThrottle(
  signals: readonly Signal[],
  work: (place: Place) => Promise<void>,
  limits: () => ThrottleLimits = () => limitsWith({}),
): Promise<void> {
  let time = 0;
  const events: ThrottleEvent[] = [];
  const throttle = openThrottle({
    databases: [{ name: 'orders', target: parseTarget(database.url), limits }],
    applicationName: 'switchback:test',
    tell: (event) => events.push(event),
    signals,
    now: () => time,
  });
  try {
    await work({
      throttle,
      events,
      later(ms) {
        time += ms;
      },
    });
  } finally {
    await throttle.close();
  }
}

test('goes on at full speed while every load is below three quarters of its limit', async () => {
  const signal = fakeSignal('one');
  signal.loads = [load(0.2), load(0.74)];
  await withThrottle([signal], async ({ throttle, events }) => {
    expect(await throttle.admit()).toEqual({ goOn: true, reason: null, factor: 1, againInMs: 0 });
    expect(events).toEqual([]);
  });
});

test('looks once a second at most, whatever the number of ranges that ask', async () => {
  const signal = fakeSignal('one');
  await withThrottle([signal], async ({ throttle, later }) => {
    for (let second = 1; second <= 3; second += 1) {
      await Promise.all(Array.from({ length: 50 }, () => throttle.admit()));
      later(999);
      await throttle.admit();
      expect(signal.looks).toBe(second);
      later(1);
    }
  });
});

test('a signal that has more time than a second is not looked at more often', async () => {
  const signal = Object.assign(fakeSignal('slow'), { everyMs: 5_000 });
  signal.loads = [load(0.8)];
  await withThrottle([signal], async ({ throttle, later }) => {
    for (let second = 0; second < 10; second += 1) {
      expect((await throttle.admit()).factor).toBeLessThan(1);
      later(1_000);
    }
    expect(signal.looks).toBe(2);
  });
});

test('the heaviest load decides how much batches shrink, and says why', async () => {
  const [one, other] = [fakeSignal('one'), fakeSignal('other')];
  one.loads = [load(0.8, 'one is at 80 %')];
  other.loads = [load(0.95, 'other is at 95 %')];
  await withThrottle([one, other], async ({ throttle, events }) => {
    const admission = await throttle.admit();
    expect(admission).toMatchObject({ goOn: true, reason: 'one is at 80 %; other is at 95 %' });
    expect(admission.factor).toBeCloseTo(0.24);
    expect(events.map(({ type, message }) => [type, message])).toEqual([
      ['throttle-slowed', 'Going on with 24 % of the batch size: one is at 80 %; other is at 95 %.'],
    ]);
  });
});

test('pauses beyond a limit, looks less and less often, and tells when it pauses and when it goes on', async () => {
  const signal = fakeSignal('replication');
  signal.loads = [load(1.4, 'standby orders-2 is 14 s behind, limit 10 s')];
  await withThrottle([signal], async ({ throttle, events, later }) => {
    const pauses: number[] = [];
    for (let look = 0; look < 7; look += 1) {
      const [admission, other] = await Promise.all([throttle.admit(), throttle.admit()]);
      expect(other).toEqual(admission);
      expect(admission).toMatchObject({ goOn: false, factor: 0, reason: expect.stringContaining('14 s') });
      pauses.push(admission.againInMs);
      later(admission.againInMs - 1);
      expect((await throttle.admit()).againInMs).toBe(1);
      expect(signal.looks).toBe(look + 1);
      later(1);
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);

    signal.loads = [load(0.95)];
    expect((await throttle.admit()).goOn).toBe(false);
    later(30_000);
    signal.loads = [load(0.1)];
    expect((await throttle.admit()).goOn).toBe(true);
    expect(events).toEqual([
      {
        type: 'throttle-paused',
        message: 'Paused: standby orders-2 is 14 s behind, limit 10 s.',
        data: { signals: ['replication'], reason: 'standby orders-2 is 14 s behind, limit 10 s' },
      },
      { type: 'throttle-resumed', message: 'Going on after 121 s.', data: { pausedMs: 121_000 } },
    ]);
  });
});

test('a pause that another signal goes on with is told anew', async () => {
  const [one, other] = [fakeSignal('one'), fakeSignal('other')];
  one.loads = [load(2)];
  await withThrottle([one, other], async ({ throttle, events, later }) => {
    await throttle.admit();
    one.loads = [];
    other.loads = [load(3, 'other')];
    later(1_000);
    expect(await throttle.admit()).toMatchObject({ goOn: false, reason: 'other' });
    expect(events.map(({ type, data }) => [type, data.signals])).toEqual([
      ['throttle-paused', ['one']],
      ['throttle-paused', ['other']],
    ]);
  });
});

test('a pause halves the batches, and they grow back step by step', async () => {
  const signal = fakeSignal('one');
  await withThrottle([signal], async ({ throttle, later }) => {
    const factors: number[] = [];
    const look = async (level: number): Promise<void> => {
      signal.loads = [load(level)];
      const { goOn, factor, againInMs } = await throttle.admit();
      if (goOn) factors.push(Number(factor.toFixed(2)));
      later(goOn ? 1_000 : againInMs);
    };
    // However long it lasts, it is one.
    for (const level of [2, 2, 2, 0, 0, 0]) await look(level);
    expect(factors).toEqual([0.5, 0.55, 0.6]);
    // Near a limit they do not grow.
    for (const level of [0.8, 0.8, 0, 2, 0, 0]) await look(level);
    expect(factors.slice(3)).toEqual([0.6, 0.6, 0.65, 0.33, 0.38]);
    for (let seconds = 0; seconds < 15; seconds += 1) await look(0);
    expect(factors.at(-1)).toBe(1);
    // Something is always left: it comes to an end.
    for (let pauses = 0; pauses < 10; pauses += 1) for (const level of [2, 0]) await look(level);
    expect(factors.at(-1)).toBe(0.05);
  });
});

test('a load that comes back at once is looked at less often', async () => {
  const signal = fakeSignal('one');
  await withThrottle([signal], async ({ throttle, later }) => {
    const pauses: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      signal.loads = [load(2)];
      for (let look = 0; look < 2; look += 1) {
        const { againInMs } = await throttle.admit();
        pauses.push(againInMs);
        later(againInMs);
      }
      signal.loads = [];
      await throttle.admit();
      later(1_000);
    }
    expect(pauses).toEqual([1_000, 2_000, 2_000, 4_000, 4_000, 8_000, 8_000, 16_000]);
  });
});

test('a signal that cannot be read is named once, and tried again', async () => {
  const signal = fakeSignal('replication');
  signal.loads = new NotWatched('the role may not');
  await withThrottle([signal], async ({ throttle, events, later }) => {
    for (let second = 0; second < 65; second += 1) {
      expect((await throttle.admit()).goOn).toBe(true);
      later(1_000);
    }
    expect(signal.looks).toBe(3);
    expect(events).toEqual([
      {
        type: 'throttle-not-watched',
        message: 'Not watched: replication of orders: the role may not.',
        data: { signal: 'replication', database: 'orders', reason: 'the role may not' },
      },
    ]);
    signal.loads = [load(2)];
    later(30_000);
    expect((await throttle.admit()).goOn).toBe(false);
  });
});

test('limits are read anew at each look', async () => {
  const signal = defineSignal({
    name: 'one',
    summary: '',
    everyMs: 1_000,
    isOn: ({ lockWaitMs }) => lockWaitMs !== null,
    watch:
      () =>
      async (_place, { lockWaitMs }) => [load(500 / (lockWaitMs ?? 1))],
  });
  let lockWaitMs: number | null = 100;
  await withThrottle(
    [signal],
    async ({ throttle, later }) => {
      expect((await throttle.admit()).goOn).toBe(false);
      lockWaitMs = 1_000;
      later(1_000);
      expect((await throttle.admit()).goOn).toBe(true);
      lockWaitMs = 100;
      later(1_000);
      expect((await throttle.admit()).goOn).toBe(false);
      lockWaitMs = null;
      later(30_000);
      expect((await throttle.admit()).goOn).toBe(true);
    },
    () => limitsWith({ lockWaitMs }),
  );
});

test('a session that was ended is told as an outage, and made again at the next look', async () => {
  const signal = defineSignal({
    name: 'one',
    summary: '',
    everyMs: 1_000,
    isOn: () => true,
    watch:
      () =>
      async ({ query }) => {
        await query('select 1');
        return [];
      },
  });
  await withThrottle([signal], async ({ throttle, later }) => {
    await throttle.admit();
    await onShared((client) =>
      client.query(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1 and application_name = 'switchback:throttle'",
        [database.name],
      ),
    );
    later(1_000);
    // Whether the loss is known before the question or by it is a matter of time.
    const admission = await throttle.admit().catch((error: unknown) => error);
    expect(admission).toMatchObject(
      admission instanceof Error ? { code: 'DATABASE_UNREACHABLE' } : { goOn: true },
    );
    expect((await throttle.admit()).goOn).toBe(true);
  });
});

test('waiting for admission ends with the signal that is given', async () => {
  const signal = fakeSignal('one');
  signal.loads = [load(2)];
  const stop = new AbortController();
  await withThrottle([signal], async ({ throttle, later }) => {
    for (let look = 0; look < 6; look += 1) later((await throttle.admit()).againInMs);
    const startedAt = performance.now();
    const waiting = admitted(throttle, stop.signal);
    stop.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow(/cancelled|aborted/);
    expect(performance.now() - startedAt).toBeLessThan(25_000);
  });
});

test('every limit has a default, and null takes it away', () => {
  const { databases } = configSchema.parse({
    databases: [{ name: 'a', url: 'postgres://h/d', migrations: 'm' }],
  });
  expect(databases[0]?.policy.throttle).toMatchObject({
    replicationLagMs: 10_000,
    lockWaitMs: 1_000,
    disk: null,
    latency: null,
  });
  expect(limitsWith({ replicationLagMs: null }).replicationLagMs).toBeNull();
});

test.each([
  [{ replicationLagMs: 0 }, 'replicationLagMs'],
  [{ connectionsShare: 1.5 }, 'connectionsShare'],
  [{ timesUsualLatency: 1 }, 'timesUsualLatency'],
  [{ latency: { url: 'ftp://shop.example/', value: '/p95', limit: 1 } }, 'latency.url'],
  [{ latency: { url: 'https://me:secret@shop.example/', value: '/p95', limit: 1 } }, 'latency.url'],
  [{ disk: { totalBytes: 1, url: 'https://shop.example/' } }, 'disk'],
])('a limit that makes no sense is refused: %o', (given, at) => {
  const { error } = throttlePolicy.safeParse(given);
  expect(error?.issues.map(({ path }) => path.join('.'))).toEqual([at]);
});
