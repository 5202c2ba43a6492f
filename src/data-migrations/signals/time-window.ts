import { defineSignal, type Load } from '../define-signal.ts';
import { WindowClock } from '../time-window.ts';

/** The time: batches begin only within the hours that the limits say. */
export const timeWindow = defineSignal({
  name: 'time-window',
  summary: 'The hours in which batches may begin',
  everyMs: 1_000,
  isOn: (limits) => limits.window !== null,
  watch() {
    return async (_, { window }): Promise<readonly Load[]> => {
      if (window === null) return [];
      const clock = new WindowClock(window);
      const now = Date.now();
      if (clock.isOpen(now)) return [];
      const next = clock.nextOpening(now);
      const { from, to, timeZone, days } = window;
      const hours = `${from} to ${to} ${timeZone}${days === undefined ? '' : ` on ${days.join(', ')}`}`;
      const goesOn =
        next === null ? 'it does not open within two weeks' : `goes on at ${new Date(next).toISOString()}`;
      return [{ level: Number.POSITIVE_INFINITY, says: `outside the time window ${hours}; ${goesOn}` }];
    };
  },
});
