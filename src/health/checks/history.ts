import { qualify } from '../../db/quote.ts';
import { defineCheck } from '../define-check.ts';

/**
 * Migrations that began and did not end. Only a warning: the database answers, but the next deployment will stop.
 * While a deployment runs its migration is unfinished too; Prisma and Switchback write `logs` only when one failed.
 */
export const history = defineCheck({
  name: 'history',
  timeoutMs: 1_000,
  async run(session) {
    const table = qualify(session.target.schema, '_prisma_migrations');
    const { rows: present } = await session.query<{ present: boolean }>(
      'select pg_catalog.to_regclass($1) is not null as present',
      [table],
    );
    if (present[0]?.present !== true) return { status: 'pass', output: 'there is no migration history yet' };
    const { rows } = await session.query<{ name: string; failed: boolean }>(
      `select migration_name as name, coalesce(logs, '') <> '' as failed from ${table}
        where finished_at is null and rolled_back_at is null order by started_at limit 20`,
    );
    const failed = rows.filter((row) => row.failed).map((row) => row.name);
    if (failed.length > 0)
      return {
        status: 'warn',
        observedValue: failed.length,
        observedUnit: 'failed migrations',
        output: `failed and not resolved: ${failed.join(', ')}; the next deployment stops until a recovery resolves it`,
      };
    if (rows.length > 0)
      return {
        status: 'warn',
        observedValue: 0,
        observedUnit: 'failed migrations',
        output: `begun and not finished: ${rows.map((row) => row.name).join(', ')}; a deployment runs, or one was interrupted`,
      };
    return { status: 'pass', observedValue: 0, observedUnit: 'failed migrations' };
  },
});
