import { runsAs } from '../../sql/classify.ts';
import { defineRule } from '../define-rule.ts';

export const uncommittedTransaction = defineRule({
  id: 'uncommitted-transaction',
  severity: 'dangerous',
  effect: null,
  summary: 'BEGIN without COMMIT',
  why: 'What a file leaves open is undone when its connection closes, while the history says that the migration was applied.',
  peers: [
    'squawk: ban-uncommitted-transaction',
    'Bytebase: statement: disallow-commit',
    'postgres-language-server: transactionNesting',
  ],
  checkMigration({ statements }) {
    const open = statements.findLast((statement) =>
      ['begin', 'commit', 'rollback'].includes(runsAs(statement)),
    );
    if (open === undefined || runsAs(open) !== 'begin') return [];
    return [
      {
        line: open.line,
        column: open.column,
        message:
          'This transaction is never committed: what follows is undone when the connection closes, while the history says that it was applied.',
        remedy: 'Remove BEGIN (the file is run as one transaction without it), or end it with COMMIT;',
      },
    ];
  },
});
