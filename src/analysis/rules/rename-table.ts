import { defineRule } from '../define-rule.ts';
import { keyOf, splitKey } from '../schema/schema.ts';

export const renameTable = defineRule({
  id: 'rename-table',
  severity: 'dangerous',
  effect: 'breaksOldVersion',
  summary: 'A table that existed before is renamed, or moved into another schema',
  why: 'From that moment to the end of the roll-out every query of the old release on the table fails; after a rollback of the application so does every query of the new one. A view with the old name, made in the same migration, keeps the old release working: it can be read and written.',
  peers: [
    'squawk: renaming-table',
    'postgres-language-server: renamingTable',
    'strong_migrations: rename_table',
    'strong_migrations: rename_schema',
    'online_migrations: rename_table',
    'Atlas: BC101',
    'Bytebase: schema.backward-compatibility',
  ],
  checkMigration({ changes, schema, number }) {
    return changes.flatMap(({ change, statement }) => {
      if (change.kind === 'renameSchema')
        return [...schema.tables.values()].every(
          (table) => table.schema !== change.to || table.since === number,
        )
          ? []
          : [
              {
                line: statement.line,
                column: statement.column,
                message: `Every query of the old release that names the schema "${change.schema}" fails from now on.`,
                remedy:
                  'Leave the schema where it is, or change the release and the schema in the same maintenance window.',
              },
            ];
      if (change.kind !== 'renameTable' && change.kind !== 'moveTable') return [];
      const old = splitKey(change.table);
      const key =
        change.kind === 'renameTable' ? keyOf(old.schema, change.to) : keyOf(change.toSchema, old.name);
      // Where it went on from there it is found again by whatever name it has at the end.
      const table = schema.tables.get(key);
      if (table === undefined || table.since === number || table.temporary) return [];
      const successor = schema.tables.get(change.table);
      // A new table under the old name: the two were swapped.
      if (successor !== undefined && successor.kind !== 'view') return [];
      const bridged = successor?.kind === 'view';
      return [
        {
          table: change.table,
          line: statement.line,
          column: statement.column,
          ...(bridged ? ({ severity: 'safe', effect: null } as const) : {}),
          message: bridged
            ? `"${old.name}" takes ACCESS EXCLUSIVE for a moment; the view of that name keeps the old release working.`
            : `"${old.name}" is "${table.name}" from now on: every query of the old release on it fails until the roll-out has ended.`,
          remedy: bridged
            ? 'Drop the view when no release in use needs it.'
            : `Keep the name: in Prisma's schema file \`@@map("${old.name}")\` renames the model and not the table. Or make, in the same migration, a view of the old name: CREATE VIEW "${old.schema}"."${old.name}" AS SELECT * FROM "${table.schema}"."${table.name}";`,
        },
      ];
    });
  },
});
