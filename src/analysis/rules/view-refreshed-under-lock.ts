import { defineRule } from '../define-rule.ts';
import { lockOn } from '../phrases.ts';

export const viewRefreshedUnderLock = defineRule({
  id: 'view-refreshed-under-lock',
  severity: 'caution',
  effect: 'longExclusiveLock',
  summary: 'REFRESH MATERIALIZED VIEW without CONCURRENTLY',
  why: 'A plain REFRESH holds ACCESS EXCLUSIVE on the view while its query runs: nobody reads it meanwhile. With a unique index over the view, CONCURRENTLY lets reads go on.',
  peers: [
    'postgres-language-server: requireConcurrentRefreshMatview',
    'postgres-language-server: concurrentRefreshMatviewLock',
  ],
  on: ['refreshView'],
  check({ table, concurrently }, context) {
    if (concurrently || context.isNew(table)) return null;
    return {
      table,
      message: `REFRESH holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while the view's query runs.`,
      remedy: `REFRESH MATERIALIZED VIEW CONCURRENTLY ${context.name(table)}; (it needs a unique index over the view's rows)`,
    };
  },
});
