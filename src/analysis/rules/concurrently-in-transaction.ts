import { waitsForSnapshots } from '../../sql/classify.ts';
import { defineRule } from '../define-rule.ts';

export const concurrentlyInTransaction = defineRule({
  id: 'concurrently-in-transaction',
  severity: 'dangerous',
  effect: null,
  summary: 'CONCURRENTLY between the file’s own BEGIN and COMMIT, or inside code',
  why: 'PostgreSQL refuses CONCURRENTLY inside a transaction block and inside functions (25001): the migration fails here.',
  peers: [
    'squawk: ban-concurrent-index-creation-in-transaction',
    'postgres-language-server: banConcurrentIndexCreationInTransaction',
    'Atlas: PG103',
    'Bytebase: statement: non-transactional',
  ],
  on: ['createIndex', 'dropIndex', 'reindex', 'detachPartition'],
  check(change, context) {
    if (!change.concurrently || !waitsForSnapshots(context.statement)) return null;
    if (!context.transaction.explicit && !context.embedded) return null;
    return {
      message: `PostgreSQL refuses CONCURRENTLY ${context.embedded ? 'inside a function or DO block' : 'between BEGIN and COMMIT'}: the migration fails here.`,
      remedy: 'Put it into a migration of its own, without BEGIN and COMMIT.',
    };
  },
});
