import { defineSignal } from '../define-signal.ts';
import { inTime } from './words.ts';

/**
 * `pg_locks` rather than `pg_stat_activity`: everybody may read it whole. A session that waits behind one that waits
 * for us counts too. `waitstart` is null for a moment when a wait begins.
 */
const sql = `
  with recursive ours as materialized (
    select coalesce(array_agg(pid), '{}') as pids from pg_stat_activity
     where datname = current_database() and (application_name = $1 or starts_with(application_name, $1 || ':'))
  ), waiting as materialized (
    select pid, min(waitstart) as since, pg_blocking_pids(pid) as blockers
      from pg_locks, ours where not granted and pid <> all(ours.pids) group by pid
  ), behind as (
    select waiting.pid, since from waiting, ours where blockers && ours.pids
    union
    select waiting.pid, waiting.since from waiting join behind on behind.pid = any(waiting.blockers)
  )
  select count(*)::int as waiting,
         coalesce(max(extract(epoch from clock_timestamp() - since)) * 1000, 0)::float8 as longest_ms
    from behind`;

export const lockWaits = defineSignal({
  name: 'lock-waits',
  summary: 'How long others wait behind locks of the data migration',
  everyMs: 1_000,
  isOn: (limits) => limits.lockWaitMs !== null,
  watch:
    () =>
    async ({ query, applicationName }, { lockWaitMs }) => {
      const limit = lockWaitMs ?? Number.POSITIVE_INFINITY;
      const { rows } = await query<{ waiting: number; longest_ms: number }>(sql, [applicationName]);
      return rows
        .filter(({ waiting }) => waiting > 0)
        .map(({ waiting, longest_ms: ms }) => ({
          level: ms / limit,
          says: `${waiting} session(s) wait behind locks of a batch, one of them for ${inTime(ms)}, limit ${inTime(limit)}`,
        }));
    },
});
