import { defineRule } from '../define-rule.ts';
import { quotedTable } from '../phrases.ts';

export const tableWithoutPrimaryKey = defineRule({
  id: 'table-without-primary-key',
  severity: 'notice',
  effect: null,
  summary: 'A new table without a primary key',
  why: 'Rows of such a table cannot be told apart: logical replication cannot update them, and changes in batches have nothing to hold on to.',
  peers: ['Bytebase: table: require-pk', 'Liquibase: PrimaryKeyOnCreateTable'],
  checkMigration({ changes, schema, number }) {
    return changes.flatMap(({ change, statement }) => {
      if (change.kind !== 'createTable' || change.temporary || change.tableKind === 'materialized') return [];
      const table = schema.tables.get(change.table);
      if (table === undefined || table.since !== number || !table.columnsKnown || table.parents.length > 0)
        return [];
      if ([...table.constraints.values()].some(({ kind }) => kind === 'primary')) return [];
      return [
        {
          table: change.table,
          line: statement.line,
          column: statement.column,
          message: `${quotedTable(change.table, schema)} has no primary key.`,
          remedy: 'Give it one; for a table that joins two others the pair of its foreign keys.',
        },
      ];
    });
  },
});
