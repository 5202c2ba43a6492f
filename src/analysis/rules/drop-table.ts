import { defineRule } from '../define-rule.ts';
import { lockOn } from '../phrases.ts';

export const dropTable = defineRule({
  id: 'drop-table',
  severity: 'dangerous',
  effect: 'dataLoss',
  summary: 'DROP TABLE of a table that existed before the migration',
  why: 'The rows are gone, and nothing but a backup brings them back; the old application fails wherever it uses the table, from that moment to the end of the roll-out. First deploy the application that no longer uses it; then rename or move it aside for a while; drop it when nobody has missed it.',
  peers: [
    'Prisma: NonEmptyTableDrop',
    'squawk: ban-drop-table',
    'postgres-language-server: banDropTable',
    'Atlas: DS102',
    'pg-schema-diff: DELETES_DATA',
    'Bytebase: schema.backward-compatibility',
    'online_migrations: drop_table_multiple_foreign_keys',
    'strong_migrations: create_table force',
    'Liquibase: ChangeDropTableWarn',
  ],
  on: ['dropTable'],
  check({ table, tableKind, cascade }, context) {
    if (tableKind === 'view' || tableKind === 'materialized' || context.isNew(table)) return null;
    const on = context.name(table);
    return {
      table,
      message: `Dropping ${on} takes ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, for a moment, and its rows are gone for good${cascade ? ', with every view and foreign key that depends on it' : ''}. The old application fails wherever it uses ${on}.`,
      remedy: [
        `-- once no release in use knows the table, move it aside, and drop it in a later migration:`,
        `CREATE SCHEMA IF NOT EXISTS dropped;`,
        `ALTER TABLE ${on} SET SCHEMA dropped;`,
      ].join('\n'),
    };
  },
});
