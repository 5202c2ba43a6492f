import { defineRule } from '../define-rule.ts';
import { quotedTable } from '../phrases.ts';

export const manyTablesLocked = defineRule({
  id: 'many-tables-locked',
  severity: 'notice',
  effect: null,
  summary: 'One transaction locks many existing tables exclusively',
  why: 'Locks are taken one after the other and kept to the end: the first table waits for all the others, and each further lock is one more chance to meet a transaction of the application that holds it and wants one that is held already: a deadlock.',
  peers: [
    'postgres-language-server: multipleAlterTable',
    'online_migrations: multiple_foreign_keys',
    'eugene: W12',
  ],
  checkMigration({ changes, schema, policy }) {
    const limit = policy.thresholds.lockedTables;
    const tables = new Map<string, number>();
    for (const { locks, statement } of changes)
      for (const { table, mode } of locks)
        if (mode === 'ACCESS EXCLUSIVE' && !tables.has(table)) tables.set(table, statement.line);
    if (tables.size <= limit) return [];
    return [
      {
        line: [...tables.values()][limit] ?? 1,
        message: `The file takes ACCESS EXCLUSIVE on ${tables.size} tables (${[...tables.keys()]
          .slice(0, 3)
          .map((key) => quotedTable(key, schema))
          .join(', ')} …), and keeps each until its transaction ends.`,
        remedy: 'Split it into migrations of one table each.',
      },
    ];
  },
});
