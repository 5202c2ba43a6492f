import type { Node } from '../../sql/tree.ts';
import { strings } from '../../sql/tree.ts';
import type { NewConstraint } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import { listed, lockOn, madeName } from '../phrases.ts';
import { isRewritten } from '../rewritten.ts';
import { keyOf, splitKey } from '../schema/schema.ts';
import { tablesWithType } from './check-scan.ts';

export const notNullScan = defineRule({
  id: 'not-null-scan',
  severity: 'caution',
  effect: 'notNullScan',
  summary: 'SET NOT NULL on an existing column that no valid CHECK vouches for',
  why: 'SET NOT NULL reads every row while it holds ACCESS EXCLUSIVE: neither reads nor writes get through. With a valid `CHECK (column IS NOT NULL)` PostgreSQL (12 and later) takes the check for proof and reads nothing; such a check can be added NOT VALID and validated without blocking anybody, in an earlier migration or in transactions before. A new PRIMARY KEY makes its columns NOT NULL in the same way.',
  peers: [
    'squawk: adding-not-nullable-field',
    'postgres-language-server: addingNotNullField',
    'eugene: E2',
    'eugene: W14',
    'strong_migrations: change_column_null',
    'online_migrations: change_column_null',
    'online_migrations: add_not_null_constraint',
    'online_migrations: change_column_with_not_null',
    'Atlas: PG303',
    'Atlas: PG304',
    'Bytebase: statement: disallow-add-not-null',
  ],
  on: ['setNotNull', 'addConstraint', 'constrainDomain'],
  check(change, context) {
    if (change.kind === 'constrainDomain')
      return change.what === 'notNull'
        ? tablesWithType(change.type, context).map((table) =>
            scan(table, [context.name(change.type)], context),
          )
        : null;
    if (context.isNew(change.table)) return null;
    if (change.kind === 'setNotNull') {
      return isProven(change.table, change.column, context)
        ? null
        : scan(change.table, [change.column], context);
    }
    const { kind, notValid } = change.constraint;
    if ((kind !== 'primary' && kind !== 'notNull') || notValid) return null;
    const nullable = columnsOf(change.constraint, change.table, context).filter(
      (column) => !isProven(change.table, column, context),
    );
    return nullable.length === 0 ? null : scan(change.table, nullable, context);
  },
});

/** With USING INDEX they are the index's. */
function columnsOf({ columns, usingIndex }: NewConstraint, table: string, { schema }: Context): string[] {
  if (usingIndex === null) return [...columns];
  const index = schema.indexes.get(keyOf(splitKey(table).schema, usingIndex));
  return (index?.columns ?? []).flatMap((column) => column ?? []);
}

function scan(table: string, columns: readonly string[], context: Context): Finding {
  const on = context.name(table);
  const [first = ''] = columns;
  const check = madeName(context, context.table(table)?.name ?? '', first, 'not_null');
  return {
    table,
    message: `Making ${listed(columns.map((column) => context.quote(column)))} NOT NULL holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while every row is read.`,
    remedy: [
      `ALTER TABLE ${on} ADD CONSTRAINT ${check} CHECK (${columns.map((column) => `${context.quote(column)} IS NOT NULL`).join(' AND ')}) NOT VALID;`,
      '-- then, in the next migration:',
      `ALTER TABLE ${on} VALIDATE CONSTRAINT ${check};`,
      '-- then, in a third one, which reads nothing:',
      ...columns.map((column) => `ALTER TABLE ${on} ALTER COLUMN ${context.quote(column)} SET NOT NULL;`),
      `ALTER TABLE ${on} DROP CONSTRAINT ${check};`,
    ].join('\n'),
    work: { kind: 'scan', table },
  };
}

/** Whether nothing has to be read: the catalogue says so, or the rows are written anew anyway. */
const isProven = (table: string, name: string, context: Context): boolean =>
  isVouchedFor(table, name, context) || isRewritten(table, context);

/** Whether the column is NOT NULL already, or a valid check says so. */
export function isVouchedFor(table: string, name: string, context: Context): boolean {
  if (context.column(table, name)?.notNull === true) return true;
  const constraints = [...(context.table(table)?.constraints.values() ?? [])];
  return constraints.some(
    ({ kind, valid, expression }) =>
      kind === 'check' && valid && expression !== null && impliesNotNull(expression, name),
  );
}

/** As ConstraintImpliedByRelConstraint does for the plain case: `a IS NOT NULL`, alone or joined by AND. */
function impliesNotNull(expression: Node, column: string): boolean {
  if ('BoolExpr' in expression && expression.BoolExpr.boolop === 'AND_EXPR')
    return (expression.BoolExpr.args ?? []).some((part) => impliesNotNull(part, column));
  if (!('NullTest' in expression) || expression.NullTest.nulltesttype !== 'IS_NOT_NULL') return false;
  const { arg } = expression.NullTest;
  return arg !== undefined && 'ColumnRef' in arg && strings(arg.ColumnRef.fields).at(-1) === column;
}
