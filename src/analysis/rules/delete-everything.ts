import { defineRule } from '../define-rule.ts';

export const deleteEverything = defineRule({
  id: 'delete-everything',
  severity: 'caution',
  effect: 'dataLoss',
  summary: 'DELETE without WHERE on an existing table',
  why: 'All rows go, and with ON DELETE CASCADE those of other tables too. Nothing but a backup brings them back.',
  peers: [
    'postgres-language-server: banDeleteWithoutWhere',
    'Bytebase: statement: where-require-update-delete',
  ],
  on: ['delete'],
  check({ table, where, fromTables }, context) {
    if (context.isNew(table) || where !== null || fromTables.length > 0) return null;
    const on = context.name(table);
    return {
      table,
      message: `DELETE without WHERE removes every row of ${on}, and of the tables whose foreign keys cascade from it.`,
      remedy: `Keep a copy until you are sure: CREATE TABLE ${on.replace(/"?$/, (quote) => `_before_delete${quote}`)} AS TABLE ${on};`,
      ...(context.factsOf(table)?.bytes === 0 ? { severity: 'safe' } : {}),
    };
  },
});
