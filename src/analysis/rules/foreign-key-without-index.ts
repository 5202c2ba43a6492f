import { quoted } from '../context.ts';
import { defineRule } from '../define-rule.ts';
import { foreignKeysOf } from '../folder.ts';
import { quotedColumns, quotedTable } from '../phrases.ts';

export const foreignKeyWithoutIndex = defineRule({
  id: 'foreign-key-without-index',
  severity: 'notice',
  effect: null,
  summary: 'A foreign key whose columns no index of its table begins with',
  why: 'Deleting or changing a referenced row looks for the rows that point to it; without an index on the referencing side that is a scan of the whole table, for each such row, while locks are held.',
  peers: ['eugene: E15', 'Bytebase: table: no-foreign-key'],
  checkMigration({ changes, schema }) {
    return changes.flatMap(({ change, statement }) => {
      const added = foreignKeysOf(change);
      if (added.length === 0) return [];
      if (!('table' in change)) return [];
      const indexes = [...(schema.tables.get(change.table)?.indexes ?? [])].flatMap(
        (key) => schema.indexes.get(key) ?? [],
      );
      return added
        .filter(({ columns }) =>
          indexes.every(
            (index) =>
              index.partial ||
              !columns.every((column) => index.columns.slice(0, columns.length).includes(column)),
          ),
        )
        .map(({ columns, references, name }) => ({
          table: change.table,
          line: statement.line,
          column: statement.column,
          message: `No index of ${quotedTable(change.table, schema)} begins with ${quotedColumns(columns)}: each deleted or changed row of ${references === null ? 'the other table' : quotedTable(references, schema)} means a scan of the whole table.`,
          remedy: `CREATE INDEX CONCURRENTLY ${quoted(`${name.replace(/_fkey$/, '')}_idx`)} ON ${quotedTable(change.table, schema)} ${quotedColumns(columns)};`,
        }));
    });
  },
});
