import { defineRule } from '../define-rule.ts';

export const invalidIndexKept = defineRule({
  id: 'invalid-index-kept',
  severity: 'notice',
  effect: null,
  summary: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS',
  why: 'A build that failed before has left an invalid index of that name: IF NOT EXISTS takes it for the index, prints a notice and does nothing. Switchback drops the invalid index that a failed CONCURRENTLY of its own made, so that IF NOT EXISTS is not needed to repeat it.',
  peers: ['strong_migrations: PG 14.0-14.3 CIC corruption'],
  on: ['createIndex'],
  check({ concurrently, ifNotExists, name, table }, context) {
    if (!concurrently || !ifNotExists || context.isNew(table)) return null;
    return {
      table,
      message: `If an earlier build of ${context.quote(name)} failed, its invalid remains are taken for the index, and nothing is built.`,
      remedy: `DROP INDEX CONCURRENTLY IF EXISTS ${context.quote(name)}; before it, or leave IF NOT EXISTS out.`,
    };
  },
});
