/** Texts that callers give for values and conditions: each exactly one SQL expression, and one that PostgreSQL takes. */
import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { readExpression } from '../sql/expression.ts';
import { loadParser, SyntaxFault } from '../sql/parse.ts';
import { readTable, resolve, type Table } from '../vault/table.ts';
import { onlyOf } from '../vault/target.ts';

/** @throws AppError `TABLE_NOT_FOUND` */
export async function findTable(
  session: Session,
  name: { readonly schema: string; readonly table: string },
): Promise<Table> {
  const oid = await resolve(session, { schema: name.schema, name: name.table });
  const table = oid === null ? null : await readTable(session, oid);
  if (
    table !== null &&
    (table.kind === 'r' || table.kind === 'p') &&
    !table.temporary &&
    table.schema !== 'switchback'
  )
    return table;
  throw new AppError(
    'TABLE_NOT_FOUND',
    `${session.target.display} has no table ${name.schema}.${name.table} whose rows could be changed. Nothing was done. Check schema and name, whose capitals count.`,
    { schema: name.schema, table: name.table },
  );
}

/**
 * A text as one expression for SQL, in parentheses.
 * @param of what it is for: `where`, `the column total`
 * @throws AppError `MAPPING_INVALID`
 */
export async function expressionSql(of: string, text: string): Promise<string> {
  await loadParser();
  try {
    return `(\n${readExpression(text).text}\n)`;
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw invalid(of, error.message);
  }
}

/** The condition, checked against the table; `true` where none is given. */
export async function conditionSql(
  session: Session,
  table: Table,
  text: string | undefined,
): Promise<string> {
  if (text === undefined) return 'true';
  const where = await expressionSql('where', text);
  await tryOut(session, 'where', `select from ${onlyOf(table)} where ${where}`);
  return where;
}

/**
 * Lets PostgreSQL plan a statement without running it.
 * @throws AppError `MAPPING_INVALID` with its reason
 */
export async function tryOut(session: Session, of: string, sql: string): Promise<void> {
  try {
    await session.query(`explain ${sql}`);
  } catch (error) {
    // 42501 is a right that is missing; 22 comes from constants that are computed when a statement is planned.
    if (!/^(0A|22|42|P0)/.test(sqlstateOf(error) ?? '') || sqlstateOf(error) === '42501') throw error;
    throw invalid(of, error instanceof AppError ? String(error.details.reason) : String(error));
  }
}

export const invalid = (of: string, reason: string): AppError =>
  new AppError(
    'MAPPING_INVALID',
    `What is given for ${of} cannot be used: ${reason}. Nothing was done. Give one SQL expression over the columns of the table.`,
    { for: of, reason },
  );

/** The columns that are assigned to, as the table has them. @throws AppError `MAPPING_INVALID` */
export function requireWritable(table: Table, names: readonly string[], alsoIdentity: boolean): void {
  for (const name of names) {
    const column = table.columns.find((one) => one.name === name);
    if (column === undefined)
      throw invalid(
        `the column ${name}`,
        `${table.schema}.${table.name} has no such column; it has ${table.columns.map((one) => one.name).join(', ')}`,
      );
    if (column.generated !== '') throw invalid(`the column ${name}`, 'PostgreSQL generates it');
    if (column.identity === 'a' && !alsoIdentity)
      throw invalid(`the column ${name}`, 'it is GENERATED ALWAYS AS IDENTITY');
  }
}

export const columnsSql = (names: readonly string[]): string =>
  names.map((name) => quoteIdentifier(name)).join(', ');
