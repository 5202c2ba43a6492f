import { defineRule } from '../define-rule.ts';
import { listed, lockOn } from '../phrases.ts';
import { costOf, willRewrite } from './type-change-rewrites.ts';

export const typeChangeRebuildsIndex = defineRule({
  id: 'type-change-rebuilds-index',
  severity: 'caution',
  effect: 'indexBuild',
  summary: 'A change of a column’s type or collation that keeps the rows but builds its indexes anew',
  why: 'Where the new type has the same representation but another operator class (text to citext), or only the collation changes, the rows stay and the indexes on the column are built anew, all under ACCESS EXCLUSIVE. So is every index with an expression or a WHERE over the column, whatever the new type.',
  peers: [
    'online_migrations: change_column_constraint',
    'strong_migrations: change_column (+ with constraint)',
  ],
  on: ['changeType'],
  check(change, context) {
    const { table, column, at } = change;
    if (context.isNew(table) || willRewrite(change, context)) return null;
    const { rebuildsIndexes } = costOf(change, context);
    const indexes = [...(context.table(table)?.indexes ?? [])].flatMap(
      (key) => context.schema.indexes.get(key) ?? [],
    );
    const rebuilt = indexes.filter(
      ({ columns, expressionColumns }) =>
        expressionColumns.includes(column) || (rebuildsIndexes && columns.includes(column)),
    );
    if (rebuilt.length === 0) return null;
    const names = listed(rebuilt.map(({ name }) => context.quote(name)));
    return {
      table,
      at,
      message: `Changing the type of ${context.quote(column)} keeps the rows, but holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while ${names} ${rebuilt.length === 1 ? 'is' : 'are'} built anew.`,
      remedy: `Drop ${names} first if the application can do without for a while (DROP INDEX CONCURRENTLY), change the type, and create ${rebuilt.length === 1 ? 'it' : 'them'} again CONCURRENTLY in a migration of its own.`,
      work: { kind: 'index', table },
    };
  },
});
