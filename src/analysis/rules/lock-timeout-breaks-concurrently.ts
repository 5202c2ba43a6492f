import { defineRule } from '../define-rule.ts';

/** Seconds: a build that may wait so long survives the transactions that an application has open. */
const longEnough = 300;

export const lockTimeoutBreaksConcurrently = defineRule({
  id: 'lock-timeout-breaks-concurrently',
  severity: 'caution',
  effect: null,
  summary: 'CONCURRENTLY under a short lock_timeout that the file sets',
  why: 'CONCURRENTLY waits for every transaction that is older than it, on any table, and lock_timeout counts that wait: one old transaction makes it fail (55P03) and leaves an invalid index behind, which IF NOT EXISTS then takes for the index. It blocks nobody while it waits, so that it needs no lock_timeout.',
  peers: ['strong_migrations: add_index non-concurrent', 'online_migrations: add_index_corruption'],
  on: ['createIndex', 'dropIndex', 'reindex'],
  check(change, context) {
    const value = context.settings.get('lock_timeout');
    if (!change.concurrently || value == null) return null;
    const seconds = secondsOf(value);
    if (seconds === 0 || seconds > longEnough) return null;
    return {
      message: `lock_timeout is ${value} here. CONCURRENTLY waits for every older transaction of the database, and fails when that takes longer${change.kind === 'createIndex' ? '; the invalid index that it leaves behind is kept up by every write and used by no query' : ''}.`,
      remedy:
        'Write SET lock_timeout = 0; before it: while CONCURRENTLY waits it blocks neither reads nor writes.',
    };
  },
});

/** Without a unit it is milliseconds. */
function secondsOf(value: string): number {
  const [, number = '0', unit = 'ms'] = /^\s*([\d.]+)\s*([a-z]*)\s*$/i.exec(value) ?? [];
  const factors: Readonly<Record<string, number>> = {
    us: 1e-6,
    ms: 1e-3,
    '': 1e-3,
    s: 1,
    min: 60,
    h: 3600,
    d: 86_400,
  };
  return Number(number) * (factors[unit.toLowerCase()] ?? 1e-3);
}
