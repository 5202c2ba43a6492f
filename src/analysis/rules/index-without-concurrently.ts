import { defineRule } from '../define-rule.ts';
import { lockOn, oneLine } from '../phrases.ts';

export const indexWithoutConcurrently = defineRule({
  id: 'index-without-concurrently',
  severity: 'caution',
  effect: 'indexBuild',
  summary: 'CREATE INDEX on an existing table without CONCURRENTLY',
  why: 'Building an index reads and sorts the whole table under SHARE: reads go on, every INSERT, UPDATE and DELETE waits until the build has ended. CONCURRENTLY reads the table twice under a lock that blocks neither. It cannot run inside a transaction, so it belongs in a migration of its own.',
  peers: [
    'squawk: require-concurrent-index-creation',
    'postgres-language-server: requireConcurrentIndexCreation',
    'eugene: E6',
    'strong_migrations: add_index non-concurrent',
    'strong_migrations: add_reference',
    'online_migrations: add_index',
    'online_migrations: add_reference',
    'Atlas: PG101',
    'pg-schema-diff: INDEX_BUILD',
    'pg-schema-diff: ACQUIRES_SHARE_LOCK',
    'Bytebase: index: create-concurrently',
  ],
  on: ['createIndex'],
  check(change, context) {
    const { table, name, concurrently, only } = change;
    if (concurrently || context.isNew(table)) return null;
    const kind = context.table(table)?.kind;
    // Reads go on, and only REFRESH writes.
    if (kind === 'materialized') return null;
    // ON ONLY a partitioned table makes no index but the (empty) parent's.
    if (kind === 'partitioned' && only) return null;
    return {
      table,
      message: `Building the index ${context.quote(name)} holds ${lockOn(context, table, 'SHARE')}, until the whole table has been read and sorted.`,
      remedy:
        kind === 'partitioned'
          ? `Create the index ON ONLY the parent, build it CONCURRENTLY on each partition, and attach those with ALTER INDEX … ATTACH PARTITION.`
          : `In a migration of its own: ${oneLine(context.statement.text).replace(/\bindex\b/i, (word) => `${word} CONCURRENTLY`)};`,
      work: { kind: 'index', table },
    };
  },
});
