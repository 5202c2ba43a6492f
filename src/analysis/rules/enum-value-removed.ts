import { defineRule } from '../define-rule.ts';

export const enumValueRemoved = defineRule({
  id: 'enum-value-removed',
  severity: 'caution',
  effect: 'breaksOldVersion',
  summary: 'A column goes over to an enum that lacks labels of the old one',
  why: 'PostgreSQL cannot drop a label, so that Prisma makes the enum anew and changes the columns over. The old release, which still knows the label, fails where it writes or compares with it, and the migration fails if a row holds it.',
  peers: ['Prisma: EnumValueRemoval', 'eugene: W13'],
  on: ['changeType'],
  check({ table, column, type, at }, context) {
    if (context.isNew(table)) return null;
    const old = context.column(table, column);
    const from = old === undefined ? undefined : context.schema.types.get(context.schema.typeKey(old.type));
    const to = context.schema.types.get(context.schema.typeKey(type));
    if (from?.kind !== 'enum' || to?.kind !== 'enum') return null;
    const removed = from.labels.filter((label) => !to.labels.includes(label));
    if (removed.length === 0) return null;
    const labels = removed.map((label) => `'${label}'`).join(', ');
    return {
      table,
      at,
      message: `${context.quote(column)} of ${context.name(table)} can no longer be ${labels}: the old release fails where it writes or compares with ${removed.length === 1 ? 'it' : 'them'}.`,
      remedy: `Release the application that no longer uses ${labels} first, and change the rows that hold ${removed.length === 1 ? 'it' : 'them'}. A label that nobody uses does no harm: leaving it is the safest.`,
    };
  },
});
