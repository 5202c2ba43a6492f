import { defineRule } from '../define-rule.ts';

export const columnMadeNullable = defineRule({
  id: 'column-made-nullable',
  severity: 'notice',
  effect: null,
  summary: 'DROP NOT NULL on an existing column',
  why: 'The old release takes the column for required: Prisma’s client fails on the first NULL that it reads (P2032). As long as only the old release writes there is none.',
  peers: ['squawk: ban-drop-not-null', 'postgres-language-server: banDropNotNull'],
  on: ['dropNotNull'],
  check({ table, column }, context) {
    if (context.isNewColumn(table, column) || context.column(table, column)?.notNull === false) return null;
    return {
      table,
      message: `The old release fails when it reads a NULL in ${context.quote(column)} of ${context.name(table)}, which the new one may write.`,
      remedy: 'Let the new release write NULL only when the old one is gone.',
    };
  },
});
