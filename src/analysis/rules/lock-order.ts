import { quoted } from '../context.ts';
import { defineRule } from '../define-rule.ts';
import { splitKey } from '../schema/schema.ts';

export const lockOrder = defineRule({
  id: 'lock-order',
  severity: 'notice',
  effect: null,
  summary: 'Two migrations lock the same two tables in opposite order',
  why: 'Two transactions that take the same locks in opposite order can wait for each other for ever; PostgreSQL ends one of them (40P01). Two deployments never run at once, but the application’s transactions have an order of their own: choose one for all.',
  peers: [],
  checkFolder({ migrations, isReported }) {
    const orders = new Map<string, string>();
    const found = [];
    for (const { name, locked } of migrations) {
      if (!isReported(name)) continue;
      // A file that locks very many tables is spoken of elsewhere.
      const pairs = locked
        .slice(0, 20)
        .flatMap((a, i) => locked.slice(i + 1, 20).map((b) => [a, b] as const));
      const against = pairs.find(([a, b]) => orders.has(JSON.stringify([b, a])));
      for (const pair of pairs) orders.set(JSON.stringify(pair), name);
      if (against === undefined) continue;
      const [a, b] = against;
      found.push({
        migration: name,
        table: a,
        message: `This migration locks ${shown(a)} before ${shown(b)}; ${orders.get(JSON.stringify([b, a]))} locks them the other way round.`,
        remedy: 'Give the statements the same order in both.',
      });
    }
    return found;
  },
});

function shown(key: string): string {
  const { schema, name } = splitKey(key);
  return schema === 'public' ? quoted(name) : `${quoted(schema)}.${quoted(name)}`;
}
