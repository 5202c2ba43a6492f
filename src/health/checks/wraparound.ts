import { defineCheck } from '../define-check.ts';

// PostgreSQL stops taking writes some 3 million before 2^31; autovacuum should act at 200 million.
const warnAge = 1_000_000_000;
const failAge = 2_000_000_000;

/** How far the database is from the transaction number at which PostgreSQL refuses all writes. */
export const wraparound = defineCheck({
  name: 'wraparound',
  timeoutMs: 1_000,
  async run(session) {
    const { rows } = await session.query<{ age: number }>(
      `select pg_catalog.age(datfrozenxid) as age
         from pg_catalog.pg_database where datname = pg_catalog.current_database()`,
    );
    const age = rows[0]?.age ?? 0;
    const measured = { observedValue: age, observedUnit: 'transactions' };
    if (age < warnAge) return { status: 'pass', ...measured };
    return {
      status: age < failAge ? 'warn' : 'fail',
      ...measured,
      output: 'vacuum does not keep up: at 2.1 billion PostgreSQL refuses all writes; run VACUUM FREEZE',
    };
  },
});
