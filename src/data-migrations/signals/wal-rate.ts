import { defineSignal } from '../define-signal.ts';
import { Window } from './window.ts';
import { inBytes } from './words.ts';

/** Whole pages that are written after a checkpoint make a second alone say little. */
const overMs = 5_000;

export const walRate = defineSignal({
  name: 'wal-rate',
  summary: 'WAL that the server writes, by all',
  everyMs: 1_000,
  isOn: (limits) => limits.walBytesPerSecond !== null,
  watch() {
    const lately = new Window(overMs);
    return async ({ query, now }, { walBytesPerSecond }) => {
      const limit = walBytesPerSecond ?? Number.POSITIVE_INFINITY;
      const { rows } = await query<{ written: number }>(
        "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as written",
      );
      const { value, ms } = lately.growth(now(), rows[0]?.written ?? 0);
      const perSecond = ms === 0 ? 0 : (value / ms) * 1_000;
      const says = `the server writes ${inBytes(perSecond)} of WAL a second, limit ${inBytes(limit)}`;
      return [{ level: perSecond / limit, says }];
    };
  },
});
