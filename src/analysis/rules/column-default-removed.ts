import { defineRule } from '../define-rule.ts';

export const columnDefaultRemoved = defineRule({
  id: 'column-default-removed',
  severity: 'notice',
  effect: null,
  summary: 'The default of an existing NOT NULL column is removed',
  why: 'An INSERT that leaves the column out fails from then on. Prisma’s client fills in the defaults of its schema file by itself, but for `dbgenerated()` and `autoincrement()`; other writers (SQL of your own, other services) do not.',
  peers: ['online_migrations: change_column_default'],
  on: ['dropDefault'],
  check({ table, column }, context) {
    const known = context.column(table, column);
    if (context.isNewColumn(table, column) || known?.notNull !== true || known.defaultValue === null)
      return null;
    return {
      table,
      message: `An INSERT into ${context.name(table)} that leaves ${context.quote(column)} out fails from now on. Prisma's client leaves out only what its schema file gives to dbgenerated() or autoincrement().`,
      remedy: `Make sure first that every writer gives ${context.quote(column)} a value.`,
    };
  },
});
