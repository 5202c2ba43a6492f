import { defineRule } from '../define-rule.ts';
import { lockOn } from '../phrases.ts';

export const dropColumn = defineRule({
  id: 'drop-column',
  severity: 'caution',
  effect: 'dataLoss',
  summary: 'DROP COLUMN of a column that existed before the migration',
  why: 'The values are gone, and nothing but a backup brings them back. Prisma’s client names every column of its schema file in every query, so that an old release fails on the whole table as soon as one of them is missing: give the previous release’s schema file, and a column that it still has is found (`column-still-selected`). Deploy the application that no longer has the column first, and drop it a release later.',
  peers: [
    'Prisma: NonEmptyColumnDrop',
    'Prisma: DropAndRecreateColumn',
    'squawk: ban-drop-column',
    'postgres-language-server: banDropColumn',
    'strong_migrations: remove_column',
    'online_migrations: remove_column',
    'Atlas: DS103',
    'pg-schema-diff: DELETES_DATA',
    'Bytebase: schema.backward-compatibility',
    'Liquibase: ChangeDropColumnWarn',
  ],
  on: ['dropColumn'],
  check({ table, column, cascade }, context) {
    if (context.isNewColumn(table, column)) return null;
    const [on, name] = [context.name(table), context.quote(column)];
    const again = context.siblings.some(
      (other) => other.kind === 'addColumn' && other.table === table && other.column.name === column,
    );
    return {
      table,
      message: `Dropping ${name} takes ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, for a moment, and its values are gone for good${cascade ? ', with every view and constraint that depends on it' : ''}.${again ? ` The column of the same name that is added begins empty: this is not a change of ${name}.` : ''}`,
      remedy: again
        ? `ALTER TABLE ${on} ALTER COLUMN ${name} TYPE … USING …; -- keeps the values`
        : `Drop it when no release in use has the column. To keep the values, before it: CREATE TABLE … AS SELECT <key>, ${name} FROM ${on};`,
    };
  },
});
