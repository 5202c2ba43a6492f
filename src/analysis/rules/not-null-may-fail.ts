import { defineRule } from '../define-rule.ts';
import { isVouchedFor } from './not-null-scan.ts';

export const notNullMayFail = defineRule({
  id: 'not-null-may-fail',
  severity: 'caution',
  effect: 'mayFailOnData',
  summary: 'SET NOT NULL on a column that may hold NULL',
  why: 'If one row holds NULL the statement fails, and the migration with it. And the old application, which may still write NULL, fails from then on: deploy the application that always writes a value first.',
  peers: ['Prisma: MadeOptionalFieldRequired', 'Atlas: MF104'],
  on: ['setNotNull'],
  check({ table, column }, context) {
    // Neither the rows nor the old application can have NULL where a valid CHECK forbids it.
    if (context.isNew(table) || isVouchedFor(table, column, context)) return null;
    const known = context.column(table, column);
    // A new column with a default has no NULL.
    if (known !== undefined && context.isNewColumn(table, column) && known.defaultValue !== null) return null;
    const [on, name] = [context.name(table), context.quote(column)];
    return {
      table,
      message: `This fails if one row of ${on} has NULL in ${name}; and the old application fails from then on where it writes none.`,
      remedy: `Count them first, and fill them: SELECT count(*) FROM ${on} WHERE ${name} IS NULL;`,
    };
  },
});
