import { defineRule } from '../define-rule.ts';
import { lockOn } from '../phrases.ts';

export const truncate = defineRule({
  id: 'truncate',
  severity: 'dangerous',
  effect: 'dataLoss',
  summary: 'TRUNCATE of a table that existed before the migration',
  why: 'All rows are gone, and nothing but a backup brings them back. With CASCADE so are those of every table with a foreign key to it, whatever its ON DELETE says.',
  peers: [
    'squawk: ban-truncate-cascade',
    'postgres-language-server: banTruncate',
    'postgres-language-server: banTruncateCascade',
    'Bytebase: statement: disallow-truncate',
    'Liquibase: ChangeTruncateTableWarn',
  ],
  on: ['truncate'],
  check({ table, cascade }, context) {
    if (context.isNew(table)) return null;
    return {
      table,
      message: `TRUNCATE takes ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, and every row is gone for good${cascade ? ', with those of every table that has a foreign key to it' : ''}.`,
      remedy: `Keep a copy until you are sure: CREATE TABLE … AS TABLE ${context.name(table)};`,
    };
  },
});
