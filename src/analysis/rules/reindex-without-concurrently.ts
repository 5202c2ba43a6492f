import { defineRule } from '../define-rule.ts';
import { oneLine } from '../phrases.ts';

export const reindexWithoutConcurrently = defineRule({
  id: 'reindex-without-concurrently',
  severity: 'caution',
  effect: 'indexBuild',
  summary: 'REINDEX without CONCURRENTLY',
  why: 'REINDEX holds SHARE on the table, so that writes wait, and ACCESS EXCLUSIVE on the index, so that reads that would use it wait too, until the index is built. REINDEX … CONCURRENTLY (PostgreSQL 12 and later) builds a second index beside it and swaps the two.',
  peers: ['squawk: require-concurrent-reindex', 'postgres-language-server: requireConcurrentReindex'],
  on: ['reindex'],
  check({ what, target, concurrently }, context) {
    if (concurrently) return null;
    const table = what === 'table' ? target : (context.schema.indexes.get(target)?.table ?? null);
    if (table !== null && context.isNew(table)) return null;
    const on = table === null ? 'every table concerned' : context.name(table);
    return {
      table,
      message: `REINDEX holds SHARE on ${on}, which blocks writes, and ACCESS EXCLUSIVE on the indexes, which blocks reads that use them, until they are built anew.`,
      remedy: `In a migration of its own: ${oneLine(context.statement.text).replace(/\b(index|table|schema|database|system)\b/i, (word) => `${word} CONCURRENTLY`)};`,
      ...(table === null ? {} : { work: { kind: 'index', table } as const }),
    };
  },
});
