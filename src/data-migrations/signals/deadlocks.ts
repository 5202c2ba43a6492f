import { defineSignal } from '../define-signal.ts';
import { Window } from './window.ts';

export const deadlocks = defineSignal({
  name: 'deadlocks',
  summary: 'Deadlocks in the database in the last minute',
  everyMs: 1_000,
  isOn: (limits) => limits.deadlocksPerMinute !== null,
  watch() {
    const minute = new Window(60_000);
    return async ({ query, now }, { deadlocksPerMinute }) => {
      const limit = deadlocksPerMinute ?? Number.POSITIVE_INFINITY;
      const { rows } = await query<{ deadlocks: number }>(
        'select deadlocks::float8 from pg_stat_database where datname = current_database()',
      );
      const found = minute.growth(now(), rows[0]?.deadlocks ?? 0).value;
      return [{ level: found / limit, says: `${found} deadlock(s) in the last minute, limit ${limit}` }];
    };
  },
});
