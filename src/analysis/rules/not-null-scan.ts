import type { Node } from '../../sql/tree.ts';
import { strings } from '../../sql/tree.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import { listed, lockOn, madeName } from '../phrases.ts';
import { tablesWithType } from './check-scan.ts';
import { willRewrite } from './type-change-rewrites.ts';

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
    const { kind, notValid, columns } = change.constraint;
    if ((kind !== 'primary' && kind !== 'notNull') || notValid) return null;
    const nullable = columns.filter((column) => !isProven(change.table, column, context));
    return nullable.length === 0 ? null : scan(change.table, nullable, context);
  },
});

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

/** Whether nothing has to be read: it is NOT NULL already, a valid check says so, or the rows are written anew anyway. */
function isProven(table: string, name: string, context: Context): boolean {
  const column = context.column(table, name);
  if (column?.notNull === true) return true;
  const constraints = context.table(table)?.constraints.values() ?? [];
  for (const { kind, valid, expression } of constraints)
    if (kind === 'check' && valid && expression !== null && impliesNotNull(expression, name)) return true;
  return context.siblings.some((change) => change.kind === 'changeType' && willRewrite(change, context));
}

/** As ConstraintImpliedByRelConstraint does for the plain case: `a IS NOT NULL`, alone or joined by AND. */
function impliesNotNull(expression: Node, column: string): boolean {
  if ('BoolExpr' in expression && expression.BoolExpr.boolop === 'AND_EXPR')
    return (expression.BoolExpr.args ?? []).some((part) => impliesNotNull(part, column));
  if (!('NullTest' in expression) || expression.NullTest.nulltesttype !== 'IS_NOT_NULL') return false;
  const { arg } = expression.NullTest;
  return arg !== undefined && 'ColumnRef' in arg && strings(arg.ColumnRef.fields).at(-1) === column;
}
