import { defineCheck } from '../define-check.ts';

/** Indexes that a failed CONCURRENTLY left behind: they cost writes, serve no query, and hide from IF NOT EXISTS. */
export const indexes = defineCheck({
  name: 'indexes',
  timeoutMs: 1_000,
  async run(session) {
    const { rows } = await session.query<{ name: string }>(
      `select pg_catalog.format('%I.%I', namespace.nspname, class.relname) as name
         from pg_catalog.pg_index as index
         join pg_catalog.pg_class as class on class.oid = index.indexrelid
         join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
        where not index.indisvalid and class.relkind = 'i'
          and not exists (select from pg_catalog.pg_stat_progress_create_index as building
                           where building.index_relid = index.indexrelid)
        order by 1 limit 20`,
    );
    const names = rows.map((row) => row.name);
    const measured = { observedValue: names.length, observedUnit: 'invalid indexes' };
    if (names.length === 0) return { status: 'pass', ...measured };
    return {
      status: 'warn',
      ...measured,
      output: `invalid: ${names.join(', ')}; drop each with DROP INDEX CONCURRENTLY and build it again`,
    };
  },
});
