import { defineRule } from '../define-rule.ts';

export const nameWithoutTimestamp = defineRule({
  id: 'name-without-timestamp',
  severity: 'notice',
  effect: null,
  summary: 'A migration’s name has no 14-digit timestamp, or shares it with another',
  why: 'The name decides the order. Without a full timestamp, or with one that another migration has too, the rest of the name decides, which nobody thought of as an order.',
  peers: ['Atlas: non-linear history'],
  checkFolder({ migrations, isReported }) {
    const seen = new Map<string, string>();
    return migrations.flatMap(({ name }) => {
      const timestamp = /^\d{14}(?=_|$)/.exec(name)?.[0];
      const other = timestamp === undefined ? undefined : seen.get(timestamp);
      if (timestamp !== undefined) seen.set(timestamp, name);
      if (!isReported(name) || (timestamp !== undefined && other === undefined)) return [];
      return [
        {
          migration: name,
          message:
            other === undefined
              ? `${name} does not begin with a 14-digit timestamp.`
              : `${name} and ${other} have the same timestamp: the rest of their names decides their order.`,
          remedy:
            'Let `prisma migrate dev` name new migrations. What has been applied somewhere must keep its name.',
        },
      ];
    });
  },
});
