import { defineRule } from '../define-rule.ts';
import { willNumber } from './new-column-rewrites.ts';

export const requiredColumnWithoutDefault = defineRule({
  id: 'required-column-without-default',
  severity: 'caution',
  effect: 'mayFailOnData',
  summary: 'ADD COLUMN … NOT NULL without a default on an existing table',
  why: 'If the table has a single row the statement fails, since that row would have NULL. And on an empty table the old application, which does not know the column, cannot insert from then on.',
  peers: [
    'Prisma: AddedRequiredFieldToTable',
    'Prisma: AddedRequiredFieldToTableWithPrismaLevelDefault',
    'Prisma: DropAndRecreateRequiredColumn',
    'squawk: adding-required-field',
    'postgres-language-server: addingRequiredField',
    'Atlas: MF103',
    'Bytebase: column: require-default',
    'Bytebase: column: no-null',
  ],
  on: ['addColumn'],
  check({ table, column }, context) {
    if (context.isNew(table) || !column.notNull || column.defaultValue !== null || willNumber(column))
      return null;
    const domain = context.schema.types.get(context.schema.typeKey(column.type));
    if (domain?.kind === 'domain') return null;
    const [on, name] = [context.name(table), context.quote(column.name)];
    return {
      table,
      at: column.at,
      message: `This fails if ${on} has a single row, since that row has no value for ${name}. If it succeeds, the old application can no longer insert into ${on}.`,
      remedy: [
        `ALTER TABLE ${on} ADD COLUMN ${name} … NOT NULL DEFAULT …; -- a constant is brief on any table`,
        '-- or add it without NOT NULL, fill it, and SET NOT NULL in a later migration',
      ].join('\n'),
      ...(context.factsOf(table)?.bytes === 0 ? { severity: 'safe' } : {}),
    };
  },
});
