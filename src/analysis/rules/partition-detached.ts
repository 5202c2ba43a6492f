import { defineRule } from '../define-rule.ts';

export const partitionDetached = defineRule({
  id: 'partition-detached',
  severity: 'notice',
  effect: null,
  summary: 'DETACH PARTITION without CONCURRENTLY',
  why: 'It takes ACCESS EXCLUSIVE on the partitioned table, for a moment; CONCURRENTLY (PostgreSQL 14 and later) takes a lock that blocks neither reads nor writes. The rows of the partition are no longer found through the parent.',
  peers: [
    'squawk: require-concurrent-partition-detach',
    'postgres-language-server: requireConcurrentDetachPartition',
    'Bytebase: table: disallow-partition',
  ],
  on: ['detachPartition'],
  check({ table, partition, concurrently }, context) {
    if (concurrently || context.isNew(table)) return null;
    return {
      table,
      message: `DETACH PARTITION takes ACCESS EXCLUSIVE on ${context.name(table)} and ${context.name(partition)}, for a moment, which blocks reads and writes.`,
      remedy: `In a migration of its own: ALTER TABLE ${context.name(table)} DETACH PARTITION ${context.name(partition)} CONCURRENTLY;`,
    };
  },
});
