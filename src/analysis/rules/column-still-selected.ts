import { defineRule } from '../define-rule.ts';
import { splitKey } from '../schema/schema.ts';

export const columnStillSelected = defineRule({
  id: 'column-still-selected',
  severity: 'dangerous',
  effect: 'breaksOldVersion',
  summary: 'A dropped column that the previous release’s schema file still has',
  why: 'Prisma’s client names every column of its schema file in every query. From the drop to the end of the roll-out each query of the old release on that table fails (P2022). Needs the previous release’s schema file.',
  peers: [
    'prisma-safety: field dropped before it is @ignored',
    'strong_migrations: remove_column',
    'online_migrations: remove_column',
  ],
  on: ['dropColumn'],
  check({ table, column }, context) {
    const model = context.previous?.models.get(splitKey(table).name);
    const field = model?.columns.get(column);
    if (model === undefined || field === undefined || context.isNewColumn(table, column)) return null;
    return {
      table,
      message: `The previous release selects ${model.model}.${field} in every query on ${context.name(table)}: all of them fail from the drop of ${context.quote(column)} to the end of the roll-out.`,
      remedy: `First release the application with \`${field}\` marked @ignore (or removed) in model ${model.model}; drop the column in the release after that.`,
    };
  },
});
