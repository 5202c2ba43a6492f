import { defineCheck } from '../define-check.ts';

/** Whether the database answers, and would take a deployment: not a standby, not read-only. */
export const connection = defineCheck({
  name: 'connection',
  timeoutMs: 2_500,
  async run(session) {
    const startedAt = performance.now();
    const { rows } = await session.query<{ standby: boolean; readonly: string }>(
      `select pg_catalog.pg_is_in_recovery() as standby,
              pg_catalog.current_setting('transaction_read_only') as readonly`,
    );
    const measured = { observedValue: Math.round(performance.now() - startedAt), observedUnit: 'ms' };
    if (rows[0]?.standby === true)
      return {
        status: 'fail',
        ...measured,
        output: 'it is a standby, which takes no writes: the URL must lead to the primary',
      };
    if (rows[0]?.readonly === 'on')
      return {
        status: 'fail',
        ...measured,
        output: 'its sessions are read-only (default_transaction_read_only): nothing can be deployed',
      };
    return { status: 'pass', ...measured };
  },
});
