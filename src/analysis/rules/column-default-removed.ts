import { quoted } from '../context.ts';
import { defineRule } from '../define-rule.ts';
import { quotedTable } from '../phrases.ts';

export const columnDefaultRemoved = defineRule({
  id: 'column-default-removed',
  severity: 'notice',
  effect: null,
  summary: 'The default of an existing NOT NULL column is removed',
  why: 'An INSERT that leaves the column out fails from then on. Prisma’s client fills in the defaults of its schema file by itself, but for `dbgenerated()` and `autoincrement()`; other writers (SQL of your own, other services) do not.',
  peers: ['online_migrations: change_column_default'],
  checkMigration({ changes, schema }) {
    return changes.flatMap(({ change, statement, existed }) => {
      if (change.kind !== 'dropDefault' || !existed) return [];
      // As the file leaves it: a default that is set again was only put aside.
      const column = schema.tables.get(change.table)?.columns.get(change.column);
      if (column?.notNull !== true || column.defaultValue !== null) return [];
      const name = quoted(change.column);
      return [
        {
          table: change.table,
          line: statement.line,
          column: statement.column,
          message: `An INSERT into ${quotedTable(change.table, schema)} that leaves ${name} out fails from now on. Prisma's client leaves out only what its schema file gives to dbgenerated() or autoincrement().`,
          remedy: `Make sure first that every writer gives ${name} a value.`,
        },
      ];
    });
  },
});
