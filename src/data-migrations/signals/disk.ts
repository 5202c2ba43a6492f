import { defineSignal, type Load, NotWatched, type SignalPlace } from '../define-signal.ts';
import { readNumber, shownUrl } from './read-number.ts';
import { inBytes } from './words.ts';

/** What is free on the disk: read from a URL, or the stated size less what databases and WAL take. */
export const disk = defineSignal({
  name: 'disk',
  summary: 'What is free on the disk',
  // The size of a database is the sum of its files' sizes, each asked for.
  everyMs: 15_000,
  isOn: (limits) => limits.freeDiskBytes !== null,
  watch:
    () =>
    async ({ query }, { disk: place, freeDiskBytes }) => {
      const limit = freeDiskBytes ?? 0;
      if (place === null)
        throw new NotWatched(
          'PostgreSQL cannot tell what is free on its disk; say where it stands, or how large the disk is, in policy.throttle.disk',
        );
      if ('totalBytes' in place) return [loadOf(place.totalBytes - (await usedBytes(query)), limit)];
      const free = await readNumber(place);
      if (typeof free === 'number') return [loadOf(free, limit)];
      return [
        {
          level: Number.POSITIVE_INFINITY,
          says: `what is free on the disk cannot be read at ${shownUrl(place.url)}: ${free.why}`,
        },
      ];
    },
});

const loadOf = (free: number, limit: number): Load => ({
  level: free <= 0 ? Number.POSITIVE_INFINITY : limit / free,
  says: `${inBytes(Math.max(0, free))} are free on the disk, limit ${inBytes(limit)}`,
});

async function usedBytes(query: SignalPlace['query']): Promise<number> {
  const right = await query<{ may: boolean }>(
    "select has_function_privilege('pg_ls_waldir()', 'execute') as may",
  );
  if (right.rows[0]?.may !== true)
    throw new NotWatched('the role may not see how much WAL there is; grant it pg_monitor');
  const { rows } = await query<{ used: number }>(`
    select ((select sum(pg_database_size(oid)) from pg_database) + (select coalesce(sum(size), 0) from pg_ls_waldir()))::float8 as used`);
  return rows[0]?.used ?? 0;
}
