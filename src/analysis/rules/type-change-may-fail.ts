import { defineRule } from '../define-rule.ts';
import { costOf } from './type-change-rewrites.ts';

export const typeChangeMayFail = defineRule({
  id: 'type-change-may-fail',
  severity: 'caution',
  effect: 'mayFailOnData',
  summary: 'A change of a column’s type into one that not every value fits',
  why: 'If one value has no place in the new type (too long, not a number, a label that the new enum lacks) the statement fails, and the migration with it. The old application goes on writing the old type’s values, and fails where they no longer fit.',
  peers: [
    'Prisma: RiskyCast',
    'Prisma: NotCastable',
    'Prisma: EnumValueRemoval',
    'Prisma: MadeScalarFieldIntoArrayField',
  ],
  on: ['changeType'],
  check(change, context) {
    const { table, column, at } = change;
    if (context.isNew(table) || !costOf(change, context).mayFail) return null;
    return {
      table,
      at,
      message: `This fails if one value of ${context.quote(column)} in ${context.name(table)} has no place in ${change.type.name}; and the old application fails from then on where it writes such a value.`,
      remedy: `Look for such values in ${context.name(table)} first, and mend them; deploy the application that no longer writes them before.`,
      ...(context.factsOf(table)?.bytes === 0 ? { severity: 'safe' } : {}),
    };
  },
});
