import { defineCheck } from '../define-check.ts';

const longSeconds = 900;

/** The oldest open transaction: a long one keeps vacuum from cleaning, and blocks what a deployment has to lock. */
export const transactions = defineCheck({
  name: 'transactions',
  timeoutMs: 1_000,
  async run(session) {
    const { rows } = await session.query<{ pid: number; application: string; seconds: number }>(
      `select pid, application_name as application,
              extract(epoch from pg_catalog.clock_timestamp() - xact_start)::int as seconds
         from pg_catalog.pg_stat_activity
        where datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid()
          and backend_type = 'client backend' and xact_start is not null
        order by xact_start limit 1`,
    );
    const [oldest] = rows;
    const measured = { observedValue: oldest?.seconds ?? 0, observedUnit: 's' };
    if (oldest === undefined || oldest.seconds < longSeconds) return { status: 'pass', ...measured };
    return {
      status: 'warn',
      ...measured,
      output: `process ${oldest.pid} ("${oldest.application}") has had a transaction open for ${oldest.seconds} s`,
    };
  },
});
