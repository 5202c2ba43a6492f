import { defineRule } from '../define-rule.ts';

const writing: ReadonlySet<string> = new Set(['update', 'delete', 'insert', 'merge', 'copy']);
const shaping: ReadonlySet<string> = new Set([
  'addColumn',
  'dropColumn',
  'renameColumn',
  'changeType',
  'setNotNull',
  'addConstraint',
  'createIndex',
  'createTable',
  'dropTable',
  'renameTable',
]);

export const dataAndSchemaMixed = defineRule({
  id: 'data-and-schema-mixed',
  severity: 'notice',
  effect: null,
  summary: 'Rows of existing tables and the schema are changed in one file',
  why: 'The two have opposite needs: a change of the schema wants to be short, since it locks tables; a change of rows takes as long as the rows are many. In one transaction the locks of the one last as long as the other.',
  peers: ['strong_migrations: backfill (ActiveRecord inside DDL)'],
  checkMigration({ changes }) {
    const write = changes.find(({ change, existed }) => existed && writing.has(change.kind));
    const shape = changes.find(({ change }) => shaping.has(change.kind));
    if (write === undefined || shape === undefined) return [];
    return [
      {
        line: write.statement.line,
        column: write.statement.column,
        message: `Rows are changed here, and the schema on line ${shape.statement.line}: in one transaction the locks of the one last as long as the other.`,
        remedy: 'Change the rows in a migration of its own, or by a data migration.',
      },
    ];
  },
});
