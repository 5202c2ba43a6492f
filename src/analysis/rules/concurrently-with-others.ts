import { runsAs } from '../../sql/classify.ts';
import { defineRule } from '../define-rule.ts';

export const concurrentlyWithOthers = defineRule({
  id: 'concurrently-with-others',
  severity: 'notice',
  effect: null,
  summary: 'A statement that refuses transactions (CONCURRENTLY, VACUUM) beside others in one file',
  why: 'Such a file is not all or nothing: if a later statement fails, the earlier ones stay. Prisma before 7.4 sends the file as one text and fails on it (25001); since then it runs statement by statement. Switchback splits the file, keeps a journal, and resumes where it stopped.',
  peers: ['squawk: transaction-nesting', 'Atlas: PG103'],
  checkMigration({ statements }) {
    const alone = statements.find((statement) => runsAs(statement) === 'alone');
    if (alone === undefined || statements.length === 1) return [];
    return [
      {
        line: alone.line,
        column: alone.column,
        message: `This statement refuses a transaction, so that the file's ${statements.length} statements are not all or nothing; Prisma before 7.4 fails on it.`,
        remedy: 'Put it into a migration of its own.',
      },
    ];
  },
});
