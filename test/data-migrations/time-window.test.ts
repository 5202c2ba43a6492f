/** Hours in which batches may begin: nights, weekends, and the nights in which clocks are changed. */
import { expect, test } from 'vitest';
import { timeWindow } from '../../src/data-migrations/signals/time-window.ts';
import { openThrottle, type ThrottleEvent } from '../../src/data-migrations/throttle.ts';
import { WindowClock } from '../../src/data-migrations/time-window.ts';
import { parseTarget } from '../../src/db/target.ts';
import { type TimeWindow, throttlePolicy } from '../../src/throttle-config.ts';
import { createDatabase } from '../support/postgres.ts';
import { limitsWith } from './limits.ts';

const zurich = { from: '22:00', to: '05:00', timeZone: 'Europe/Zurich' } satisfies TimeWindow;
const isOpen = (window: TimeWindow, at: string): boolean => new WindowClock(window).isOpen(Date.parse(at));
const next = (window: TimeWindow, at: string): string | null => {
  const found = new WindowClock(window).nextOpening(Date.parse(at));
  return found === null ? null : new Date(found).toISOString();
};

test.each([
  ['2026-07-01T19:59:59Z', false, '2026-07-01T20:00:00.000Z'],
  ['2026-07-01T20:00:00Z', true, '2026-07-01T20:00:00.000Z'],
  ['2026-07-02T02:59:59Z', true, '2026-07-02T02:59:00.000Z'],
  ['2026-07-02T03:00:00Z', false, '2026-07-02T20:00:00.000Z'],
  // An hour later in winter.
  ['2026-12-01T20:59:59Z', false, '2026-12-01T21:00:00.000Z'],
  ['2026-12-02T03:59:59Z', true, '2026-12-02T03:59:00.000Z'],
  ['2026-12-02T04:00:00Z', false, '2026-12-02T21:00:00.000Z'],
])('a night: at %s', (at, open, opens) => {
  expect(isOpen(zurich, at)).toBe(open);
  expect(next(zurich, at)).toBe(opens);
});

test('the night in which the clock is put forward is an hour shorter', () => {
  // On 29 March 2026 at 02:00 it is 03:00.
  expect(isOpen(zurich, '2026-03-28T21:00:00Z')).toBe(true);
  expect(isOpen(zurich, '2026-03-29T02:59:59Z')).toBe(true);
  expect(isOpen(zurich, '2026-03-29T03:00:00Z')).toBe(false);
  expect(next(zurich, '2026-03-29T03:00:00Z')).toBe('2026-03-29T20:00:00.000Z');
});

test('the night in which it is put back is an hour longer', () => {
  // On 25 October 2026 at 03:00 it is 02:00 again.
  expect(next(zurich, '2026-10-24T19:00:00Z')).toBe('2026-10-24T20:00:00.000Z');
  expect(isOpen(zurich, '2026-10-25T03:59:59Z')).toBe(true);
  expect(isOpen(zurich, '2026-10-25T04:00:00Z')).toBe(false);
});

test('an hour that there is not is not waited for, and one that comes twice is open twice', () => {
  const early = { ...zurich, from: '02:15', to: '02:45' };
  expect(next(early, '2026-03-29T00:00:00Z')).toBe('2026-03-30T00:15:00.000Z');
  expect(next({ ...zurich, from: '02:30', to: '04:00' }, '2026-03-29T00:00:00Z')).toBe(
    '2026-03-29T01:00:00.000Z',
  );
  expect(next(early, '2026-10-25T00:00:00Z')).toBe('2026-10-25T00:15:00.000Z');
  expect(isOpen(early, '2026-10-25T00:45:00Z')).toBe(false);
  expect(next(early, '2026-10-25T00:45:00Z')).toBe('2026-10-25T01:15:00.000Z');
});

test('days are those on which it begins', () => {
  const fridays = { ...zurich, days: ['fri' as const] };
  expect(isOpen(fridays, '2026-07-03T20:00:00Z')).toBe(true);
  expect(isOpen(fridays, '2026-07-04T02:00:00Z')).toBe(true);
  expect(isOpen(fridays, '2026-07-04T20:00:00Z')).toBe(false);
  expect(isOpen(fridays, '2026-07-03T02:00:00Z')).toBe(false);
  expect(next(fridays, '2026-07-04T04:00:00Z')).toBe('2026-07-10T20:00:00.000Z');
  const weekends = {
    from: '00:00',
    to: '24:00',
    timeZone: 'America/St_Johns',
    days: ['sat' as const, 'sun' as const],
  };
  expect(next(weekends, '2026-07-01T00:00:00Z')).toBe('2026-07-04T02:30:00.000Z');
  expect(isOpen(weekends, '2026-07-06T02:29:00Z')).toBe(true);
  expect(isOpen(weekends, '2026-07-06T02:30:00Z')).toBe(false);
});

test('zones with odd offsets, and windows of a minute', () => {
  const kathmandu = { from: '03:01', to: '03:02', timeZone: 'Asia/Kathmandu' };
  expect(next(kathmandu, '2026-07-01T00:00:00Z')).toBe('2026-07-01T21:16:00.000Z');
  expect(isOpen(kathmandu, '2026-07-01T21:16:30Z')).toBe(true);
  const lordHowe = { from: '01:45', to: '02:20', timeZone: 'Australia/Lord_Howe' };
  // On 4 October 2026 at 02:00 it is 02:30.
  expect(next(lordHowe, '2026-10-03T12:00:00Z')).toBe('2026-10-03T15:15:00.000Z');
  expect(isOpen(lordHowe, '2026-10-03T15:30:00Z')).toBe(false);
});

test.each<[object, boolean]>([
  [zurich, true],
  [{ ...zurich, to: '24:00', days: ['mon'] }, true],
  [{ ...zurich, to: '22:00' }, false],
  [{ ...zurich, from: '24:00' }, false],
  [{ ...zurich, from: '9:00' }, false],
  [{ ...zurich, timeZone: 'Europe/Nowhere' }, false],
  [{ ...zurich, timeZone: undefined }, false],
  [{ ...zurich, days: [] }, false],
  [{ ...zurich, day: 'mon' }, false],
])('%j is accepted: %s', (window, accepted) => {
  expect(throttlePolicy.safeParse({ window }).success).toBe(accepted);
});

test('outside the window nothing begins, and the reason says when it goes on; a change is taken up', async () => {
  const database = await createDatabase();
  const events: ThrottleEvent[] = [];
  const hour = (after: number): string =>
    new Date(Date.now() + after * 3_600_000).toISOString().slice(11, 16);
  const closed = { from: hour(2), to: hour(3), timeZone: 'UTC' };
  let limits = limitsWith({ window: closed });
  let time = 0;
  const throttle = openThrottle({
    databases: [{ name: 'orders', target: parseTarget(database.url), limits: () => limits }],
    ...{ applicationName: 'switchback:test', tell: (event) => void events.push(event) },
    ...{ signals: [timeWindow], now: () => time },
  });
  expect(await throttle.admit()).toMatchObject({
    goOn: false,
    reason: expect.stringMatching(
      new RegExp(
        `^outside the time window ${closed.from} to ${closed.to} UTC; goes on at .*T${closed.from}:00.000Z$`,
      ),
    ),
  });
  expect(events).toMatchObject([{ type: 'throttle-paused', data: { signals: ['time-window'] } }]);
  limits = limitsWith({ window: { ...closed, from: hour(-1) } });
  time = 60_000;
  expect(await throttle.admit()).toMatchObject({ goOn: true });
  limits = limitsWith({ window: null });
  time = 120_000;
  expect(await throttle.admit()).toMatchObject({ goOn: true });
  expect(events.map(({ type }) => type)).toEqual(['throttle-paused', 'throttle-resumed']);
  await throttle.close();
  await database.drop();
});
