import { defineSignal, type Load, NotWatched, type ThrottleLimits } from '../define-signal.ts';
import { inBytes, inTime } from './words.ts';

interface Standby {
  readonly name: string | null;
  readonly state: string | null;
  readonly replayed: number | null;
  readonly lag_ms: number;
}

interface Sample {
  readonly at: number;
  readonly written: number;
}

/**
 * A standby tells how far it is with the WAL that comes, but when none comes only every `wal_receiver_status_interval`:
 * so little behind says nothing about time.
 */
const nothingBytes = 65_536;
const keptSamples = 3_600;

const sql = `
  select coalesce(nullif(application_name, ''), host(client_addr), 'of process ' || pid) as name, state,
         pg_wal_lsn_diff(replay_lsn, '0/0')::float8 as replayed,
         coalesce(extract(epoch from replay_lag) * 1000, 0)::float8 as lag_ms
    from pg_stat_replication`;

/**
 * How far the standbys and subscribers that are connected have replayed. Not by `replay_lag` alone: PostgreSQL measures
 * it when a standby replays something, so that of one whose replay stands still stays as it was.
 */
export const replication = defineSignal({
  name: 'replication',
  summary: 'How far standbys and subscribers are behind',
  everyMs: 1_000,
  isOn: (limits) => limits.replicationLagMs !== null || limits.replicationLagBytes !== null,
  watch() {
    let samples: Sample[] = [];
    return async ({ query, now }, limits) => {
      const { rows: standbys } = await query<Standby>(sql);
      // Without the right, PostgreSQL shows that there is a standby, and nothing of it.
      if (standbys.some(({ state }) => state === null))
        throw new NotWatched('the role may not read pg_stat_replication; grant it pg_read_all_stats');
      const { rows } = await query<{ written: number }>(
        "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as written",
      );
      const written = rows[0]?.written ?? 0;
      const at = now();
      const followers = standbys.flatMap(({ name, replayed, lag_ms }) =>
        replayed === null ? [] : [{ name: name ?? '', replayed, lagMs: lag_ms }],
      );
      const least = Math.min(written, ...followers.map(({ replayed }) => replayed));
      samples = [...samples, { at, written }].filter((sample) => sample.written > least).slice(-keptSamples);
      return followers.map(({ name, replayed, lagMs }) => {
        const bytes = Math.max(0, written - replayed);
        const since = samples.find((sample) => sample.written > replayed)?.at ?? at;
        return loadOf(name, { bytes, ms: bytes < nothingBytes ? 0 : Math.max(lagMs, at - since) }, limits);
      });
    };
  },
});

function loadOf(
  name: string,
  lag: { readonly bytes: number; readonly ms: number },
  { replicationLagMs, replicationLagBytes }: ThrottleLimits,
): Load {
  const byTime = lag.ms / (replicationLagMs ?? Number.POSITIVE_INFINITY);
  const byBytes = lag.bytes / (replicationLagBytes ?? Number.POSITIVE_INFINITY);
  const says =
    byTime >= byBytes
      ? `standby ${name} is ${inTime(lag.ms)} behind, limit ${inTime(replicationLagMs ?? 0)}`
      : `standby ${name} is ${inBytes(lag.bytes)} of WAL behind, limit ${inBytes(replicationLagBytes ?? 0)}`;
  return { level: Math.max(byTime, byBytes), says };
}
