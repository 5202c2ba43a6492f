import { defineSignal } from '../define-signal.ts';
import { Window } from './window.ts';

/** PostgreSQL 17 moved the counter. */
const sqlFor = (version: number): string =>
  version >= 170_000
    ? 'select num_requested::float8 as requested from pg_stat_checkpointer'
    : 'select checkpoints_req::float8 as requested from pg_stat_bgwriter';

/** Checkpoints that come since `max_wal_size` is reached press their writes together, and bring whole pages into WAL. */
export const checkpoints = defineSignal({
  name: 'checkpoints',
  summary: 'Checkpoints in the last minute that did not wait for their time',
  everyMs: 1_000,
  isOn: (limits) => limits.checkpointsPerMinute !== null,
  watch() {
    const minute = new Window(60_000);
    return async ({ query, now }, { checkpointsPerMinute }) => {
      const limit = checkpointsPerMinute ?? Number.POSITIVE_INFINITY;
      const version = await query<{ version: number }>(
        "select current_setting('server_version_num')::int as version",
      );
      const { rows } = await query<{ requested: number }>(sqlFor(version.rows[0]?.version ?? 0));
      const found = minute.growth(now(), rows[0]?.requested ?? 0).value;
      const says = `${found} checkpoint(s) in the last minute since max_wal_size was reached, limit ${limit}`;
      return [{ level: found / limit, says }];
    };
  },
});
