import { defineRule } from '../define-rule.ts';
import { lockOn, oneLine } from '../phrases.ts';

export const indexDropWithoutConcurrently = defineRule({
  id: 'index-drop-without-concurrently',
  severity: 'notice',
  effect: null,
  summary: 'DROP INDEX without CONCURRENTLY on an existing table',
  why: 'Dropping an index takes ACCESS EXCLUSIVE on its table, for a moment: Switchback’s short lock_timeout keeps the wait for it short. CONCURRENTLY waits without blocking anybody. What hurts more often is the query that used the index.',
  peers: [
    'squawk: require-concurrent-index-deletion',
    'postgres-language-server: requireConcurrentIndexDeletion',
    'strong_migrations: opt-in remove_index',
    'online_migrations: remove_index',
    'online_migrations: replace_index',
    'Atlas: PG102',
    'pg-schema-diff: INDEX_DROPPED',
    'Bytebase: index: create-concurrently',
  ],
  on: ['dropIndex'],
  check({ index, concurrently }, context) {
    const table = context.schema.indexes.get(index)?.table;
    if (concurrently || table === undefined || context.isNew(table)) return null;
    return {
      table,
      message: `DROP INDEX takes ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, for a moment.`,
      remedy: `In a migration of its own: ${oneLine(context.statement.text).replace(/\bindex\b/i, (word) => `${word} CONCURRENTLY`)};`,
    };
  },
});
