import type { Change } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import type { Work } from '../estimate.ts';
import { locksOf } from '../locks.ts';
import { listed } from '../phrases.ts';
import { volatileFunctions } from '../schema/volatility.ts';
import { willNumber } from './new-column-rewrites.ts';
import { willRewrite } from './type-change-rewrites.ts';
import { isByKey } from './unbounded-write.ts';

export const longWorkUnderLock = defineRule({
  id: 'long-work-under-lock',
  severity: 'caution',
  effect: 'longExclusiveLock',
  summary:
    'Work that grows with a table, while an earlier statement of the transaction holds ACCESS EXCLUSIVE on another one or on the same',
  why: 'Locks last to the end of their transaction. A brief ALTER TABLE in front of a long statement therefore blocks its table, reads included, as long as the long one takes. Put the long work into a migration of its own, or first.',
  peers: [
    'eugene: E4',
    'postgres-language-server: runningStatementWhileHoldingAccessExclusive',
    'postgres-language-server: avoidWideLockWindow',
    'pg-schema-diff: ACQUIRES_ACCESS_EXCLUSIVE_LOCK',
    'strong_migrations: backfill (ActiveRecord inside DDL)',
  ],
  on: [
    'createIndex',
    'addConstraint',
    'changeType',
    'addColumn',
    'setNotNull',
    'update',
    'delete',
    'insert',
    'refreshView',
  ],
  check(change, context): Finding | null {
    const work = workOf(change, context);
    if (work === null) return null;
    // What the change locks so itself is spoken of by its own rule.
    const own = new Set(
      locksOf(change, context.schema).flatMap(({ table, mode }) =>
        mode === 'ACCESS EXCLUSIVE' ? table : [],
      ),
    );
    const held = [...context.transaction.held].filter(
      ([table, { mode, line }]) =>
        mode === 'ACCESS EXCLUSIVE' && line < context.statement.line && !own.has(table),
    );
    const [first] = held;
    if (first === undefined) return null;
    const tables = listed(held.slice(0, 3).map(([table]) => context.name(table)));
    const more = held.length > 3 ? ` and ${held.length - 3} more` : '';
    return {
      table: first[0],
      message: `The transaction has held ACCESS EXCLUSIVE on ${tables}${more} since line ${first[1].line}, which blocks reads and writes there, and holds it while this statement goes through ${context.name(work.table)}.`,
      remedy: 'Put this statement into a migration of its own, before the statements that lock.',
      work,
    };
  },
});

/** The work of a change on a table that existed before; null where it is brief. */
function workOf(change: Change, context: Context): Work | null {
  switch (change.kind) {
    case 'createIndex':
      return change.concurrently ||
        context.isNew(change.table) ||
        context.table(change.table)?.kind === 'materialized'
        ? null
        : { kind: 'index', table: change.table };
    case 'addConstraint': {
      const { notValid, usingIndex, kind } = change.constraint;
      if (notValid || usingIndex !== null || context.isNew(change.table)) return null;
      const indexed = kind === 'primary' || kind === 'unique' || kind === 'exclusion';
      return { kind: indexed ? 'index' : 'scan', table: change.table };
    }
    case 'changeType':
      return context.isNew(change.table) || !willRewrite(change, context)
        ? null
        : { kind: 'rewrite', table: change.table };
    case 'addColumn': {
      const { column, table } = change;
      const value = column.defaultValue;
      const volatile =
        value !== null && value !== true && volatileFunctions(value, context.schema).length > 0;
      const writes = (willNumber(column) && column.generated !== 'virtual') || volatile;
      return context.isNew(table) || !writes ? null : { kind: 'rewrite', table };
    }
    case 'setNotNull':
      return context.isNew(change.table) || context.column(change.table, change.column)?.notNull === true
        ? null
        : { kind: 'scan', table: change.table };
    case 'update':
    case 'delete':
      return context.isNew(change.table) || isByKey(change.where, change.table, context)
        ? null
        : { kind: change.kind === 'update' ? 'rewrite' : 'scan', table: change.table };
    case 'insert': {
      const source = change.fromTables.find((table) => !context.isNew(table));
      return source === undefined ? null : { kind: 'scan', table: source };
    }
    case 'refreshView':
      return { kind: 'scan', table: change.table };
    default:
      return null;
  }
}
