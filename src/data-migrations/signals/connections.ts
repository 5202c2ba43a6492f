import { defineSignal } from '../define-signal.ts';
import { rounded } from './words.ts';

/** Everybody may see which process is in which database; parallel workers have slots of their own. */
const sql = `
  select (select count(*) from pg_stat_activity
           where datid is not null and usesysid is not null and backend_type is distinct from 'parallel worker')::int as used,
         current_setting('max_connections')::int as allowed`;

export const connections = defineSignal({
  name: 'connections',
  summary: 'How much of max_connections is taken, by all',
  everyMs: 1_000,
  isOn: (limits) => limits.connectionsShare !== null,
  watch:
    () =>
    async ({ query }, { connectionsShare }) => {
      const limit = connectionsShare ?? Number.POSITIVE_INFINITY;
      const { rows } = await query<{ used: number; allowed: number }>(sql);
      return rows.map(({ used, allowed }) => ({
        level: used / allowed / limit,
        says: `${used} of ${allowed} connections are taken, limit ${rounded(limit * 100)} %`,
      }));
    },
});
