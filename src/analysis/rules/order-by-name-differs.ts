import { defineRule } from '../define-rule.ts';

export const orderByNameDiffers = defineRule({
  id: 'order-by-name-differs',
  severity: 'caution',
  effect: null,
  summary: 'Migrations whose order by name is not that of their dates',
  why: 'Migrations are applied in the order of their names. A name without a full 14-digit timestamp may sort before or after one of the same day, and Prisma’s releases sort `_` differently: by locale (before the digits) or by bytes (after them). On a new database the order may then be another than it was on the old ones.',
  peers: ['Atlas: non-linear history'],
  checkFolder({ migrations, isReported }) {
    const found = [];
    for (const [number, { name }] of migrations.entries()) {
      const before = migrations[number - 1]?.name;
      if (before === undefined || (!isReported(name) && !isReported(before))) continue;
      const byBytes = before < name;
      const [a, b] = [dateOf(before), dateOf(name)];
      if (a === null || b === null) continue;
      // As far as both dates go.
      const digits = Math.min(a.length, b.length);
      const backwards = a.slice(0, digits) > b.slice(0, digits);
      if (byBytes && !backwards) continue;
      found.push({
        migration: isReported(name) ? name : before,
        message: byBytes
          ? `${before} is applied before ${name}, though its date is later.`
          : `${before} is applied before ${name} where names are sorted by locale (Prisma's command line, Switchback), and after it where they are sorted by bytes.`,
        remedy:
          'Give new migrations a 14-digit timestamp (YYYYMMDDHHMMSS). What has been applied somewhere must keep its name.',
      });
    }
    return found;
  },
});

/** The digits at the beginning, if they can be a date. */
function dateOf(name: string): string | null {
  const digits = /^\d+/.exec(name)?.[0] ?? '';
  return digits.length >= 8 && digits.length <= 14 ? digits : null;
}
