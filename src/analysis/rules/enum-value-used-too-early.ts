import { mentions, runsAs } from '../../sql/classify.ts';
import { defineRule } from '../define-rule.ts';

export const enumValueUsedTooEarly = defineRule({
  id: 'enum-value-used-too-early',
  severity: 'notice',
  effect: null,
  summary: 'A label that ALTER TYPE … ADD VALUE adds is used in the same file',
  why: 'A new label cannot be used before the transaction that added it has committed (55P04). Between the file’s own BEGIN and COMMIT the migration fails. Otherwise Prisma before 7.4 fails on it, and later engines and Switchback run the file in two transactions: it is not all or nothing.',
  peers: ['squawk: require-enum-value-ordering', 'postgres-language-server: avoidAlterEnumAddValue'],
  checkMigration({ changes, statements }) {
    const madeHere = new Set(
      changes.flatMap(({ change }) => (change.kind === 'createType' ? [change.type] : [])),
    );
    return changes.flatMap(({ change, statement }) => {
      if (change.kind !== 'addEnumValue' || madeHere.has(change.type)) return [];
      const later = statements.filter((other) => other.offset > statement.offset);
      const user = later.find((other) => other.kind !== 'AlterEnumStmt' && mentions(other, change.label));
      if (user === undefined) return [];
      const between = statements.filter(({ offset }) => offset > statement.offset && offset <= user.offset);
      const committed = between.some((other) => ['commit', 'alone'].includes(runsAs(other)));
      if (committed) return [];
      const inBlock = isInBlock(statements.filter(({ offset }) => offset < statement.offset).map(runsAs));
      return [
        {
          line: user.line,
          column: user.column,
          severity: inBlock ? ('dangerous' as const) : ('notice' as const),
          message: `'${change.label}' is added on line ${statement.line}, and cannot be used before that has been committed.${inBlock ? ' Between BEGIN and COMMIT this fails (55P04).' : ''}`,
          remedy: 'Add the label in one migration and use it in the next.',
        },
      ];
    });
  },
});

/** Whether a BEGIN is still open after these statements. */
const isInBlock = (ways: readonly string[]): boolean =>
  ways.lastIndexOf('begin') > Math.max(ways.lastIndexOf('commit'), ways.lastIndexOf('rollback'));
