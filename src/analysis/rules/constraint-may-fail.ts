import type { NewConstraint } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import { columnList } from '../phrases.ts';

export const constraintMayFail = defineRule({
  id: 'constraint-may-fail',
  severity: 'caution',
  effect: 'mayFailOnData',
  summary:
    'A unique index, UNIQUE, PRIMARY KEY, EXCLUDE, FOREIGN KEY or CHECK that rows of an existing table may break',
  why: 'If one row breaks the new rule the statement fails, and the migration with it. What the tests’ database holds says nothing about production: count there first, with the query that the violation gives.',
  peers: [
    'Prisma: UniqueConstraintAddition',
    'Prisma: PrimaryKeyChange',
    'Atlas: MF101',
    'Atlas: MF102',
    'pg-schema-diff: CORRECTNESS',
  ],
  on: ['addConstraint', 'createIndex'],
  check(change, context) {
    if (context.isNew(change.table)) return null;
    if (change.kind === 'createIndex') {
      const columns = change.columns.flatMap((column) => column ?? []);
      return context.table(change.table)?.kind !== 'materialized' &&
        change.unique &&
        !change.partial &&
        columns.length === change.columns.length
        ? duplicates(change.table, columns, context)
        : null;
    }
    return mayFail(change.constraint, change.table, context);
  },
});

function mayFail(constraint: NewConstraint, table: string, context: Context): Finding | null {
  const { kind, columns, notValid, usingIndex, at } = constraint;
  if (notValid || usingIndex !== null) return null;
  // What is NULL everywhere breaks nothing but NOT NULL.
  if (kind !== 'primary' && columns.some((column) => isAllNull(table, column, context))) return null;
  const on = context.name(table);
  switch (kind) {
    case 'primary':
    case 'unique':
      return duplicates(table, columns, context, at);
    case 'foreign': {
      const target = constraint.references === null ? '' : context.name(constraint.references);
      return {
        table,
        at,
        message: `The foreign key fails if one row of ${on} points to a row that ${target} does not have.`,
        remedy: orphanQuery(constraint, table, context),
      };
    }
    case 'check':
      return {
        table,
        at,
        message: `The check fails if one row of ${on} breaks it.`,
        remedy: `Count the rows of ${on} that break it first, and mend them: SELECT count(*) FROM ${on} WHERE NOT (…);`,
      };
    case 'exclusion':
      return { table, at, message: `The constraint fails if two rows of ${on} exclude each other.` };
    case 'notNull':
      return null;
  }
}

function duplicates(
  table: string,
  columns: readonly string[],
  context: Context,
  at: number | null = null,
): Finding | null {
  if (areUniqueAlready(table, columns, context)) return null;
  const on = context.name(table);
  const list = columns.map((column) => context.quote(column)).join(', ');
  return {
    table,
    at,
    message: `This fails if two rows of ${on} have the same ${columnList(context, columns)}.`,
    remedy: `Look for duplicates first, and mend them: SELECT ${list}, count(*) FROM ${on} GROUP BY ${list} HAVING count(*) > 1;`,
  };
}

function orphanQuery(constraint: NewConstraint, table: string, context: Context): string {
  const { columns, referencedColumns, references } = constraint;
  const [column, referenced] = [columns[0], referencedColumns[0]];
  if (references === null || column === undefined || referenced === undefined || columns.length !== 1)
    return 'Count the rows without a partner first, and mend them.';
  const [a, b] = [context.quote(column), context.quote(referenced)];
  return `Count the rows without a partner first, and mend them: SELECT count(*) FROM ${context.name(table)} a WHERE a.${a} IS NOT NULL AND NOT EXISTS (SELECT FROM ${context.name(references)} b WHERE b.${b} = a.${a});`;
}

/** Where some of the columns are a key already, or all of one of them is NULL, no two rows can be the same. */
function areUniqueAlready(table: string, columns: readonly string[], context: Context): boolean {
  if (columns.some((column) => isAllNull(table, column, context))) return true;
  const keys = [...(context.table(table)?.indexes ?? [])].flatMap(
    (key) => context.schema.indexes.get(key) ?? [],
  );
  return keys.some(
    ({ unique, partial, columns: of }) =>
      unique && !partial && of.every((column) => column !== null && columns.includes(column)),
  );
}

/** A column that the migration adds without a value, and has not written to. */
const isAllNull = (table: string, column: string, context: Context): boolean =>
  context.isNewColumn(table, column) &&
  context.column(table, column)?.defaultValue === null &&
  !context.transaction.written.has(table);
