/** What is compared, after both databases have been asked: tables, keys, columns with their types. */
import { sqlstateOf } from '../../db/errors.ts';
import { qualify, quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import { type Expression, readExpression } from '../../sql/expression.ts';
import { SyntaxFault } from '../../sql/parse.ts';
import { readTable, resolve, type Table } from '../../vault/table.ts';
import type { ColumnType } from './comparison.ts';
import type { ComparedTable } from './request.ts';
import { typesOf } from './types.ts';

/** A value of one side: a column, or an expression over columns. */
export interface SideValue {
  /** For SQL. */
  readonly sql: string;
  readonly type: ColumnType;
  /** The column that it is, or null. */
  readonly column: string | null;
  /** Columns that it comes from. */
  readonly from: ReadonlySet<string>;
}

export interface Side {
  readonly place: ComparedTable;
  readonly table: Table;
  /** A condition for SQL, true for the rows that are compared. */
  readonly where: string;
}

/**
 * @throws AppError `TABLE_NOT_FOUND`, `MAPPING_INVALID`
 */
export async function readSide(session: Session, place: ComparedTable): Promise<Side> {
  const oid = await resolve(session, { schema: place.schema, name: place.table });
  const table = oid === null ? null : await readTable(session, oid);
  if (table === null || !hasRows.has(table.kind))
    throw new AppError(
      'TABLE_NOT_FOUND',
      `${place.database} has no table ${nameOf(place)}. Nothing was compared. Check schema and name, whose capitals count.`,
      { database: place.database, schema: place.schema, table: place.table },
    );
  if (place.where === undefined) return { place, table, where: 'true' };
  const where = embedded(expressionOf(place, 'where', place.where));
  await tryOut(session, place, 'where', `select from ${table.sql} where false and ${where}`);
  return { place, table, where };
}

/** Tables of all sorts; what else there is has no key. */
const hasRows = new Set(['r', 'p', 'm', 'f', 'v']);

export const nameOf = ({ schema, table }: Pick<ComparedTable, 'schema' | 'table'>): string =>
  `${schema}.${table}`;

/**
 * The values that texts stand for: a column by its exact name, else an expression.
 * @param given by the column of the target that it is for
 * @throws AppError `MAPPING_INVALID`
 */
export async function readValues(
  session: Session,
  side: Side,
  given: ReadonlyMap<string, string>,
): Promise<Map<string, SideValue>> {
  const { place, table } = side;
  const known = new Map(table.columns.map((column) => [column.name, column]));
  const parts: Omit<SideValue, 'type'>[] = [];
  for (const [name, text] of given) {
    if (known.has(text)) {
      parts.push({ sql: quoteIdentifier(text), column: text, from: new Set([text]) });
      continue;
    }
    const expression = expressionOf(place, name, text);
    const sql = embedded(expression);
    // In an aggregate: neither another one nor a window or a set may stand there.
    await tryOut(session, place, name, `select pg_catalog.count(${sql}) from ${table.sql} where false`);
    parts.push({ sql, column: null, from: expression.columns });
  }
  const types = await typesOf(session, side.table, parts);
  return new Map([...given.keys()].map((name, n) => [name, { ...parts[n], type: types[n] } as SideValue]));
}

function expressionOf(place: ComparedTable, name: string, text: string): Expression {
  try {
    return readExpression(text);
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw invalid(place, name, error.message);
  }
}

const embedded = ({ text }: Expression): string => `(\n${text}\n)`;

/** PostgreSQL itself says whether an expression can stand where it will. */
async function tryOut(session: Session, place: ComparedTable, name: string, sql: string): Promise<void> {
  try {
    await session.query(sql);
  } catch (error) {
    if (!/^(0A|22|42)/.test(sqlstateOf(error) ?? '') || sqlstateOf(error) === '42501') throw error;
    const reason = error instanceof AppError ? String(error.details.reason) : String(error);
    throw invalid(place, name, reason);
  }
}

const invalid = (place: ComparedTable, name: string, reason: string): AppError =>
  new AppError(
    'MAPPING_INVALID',
    `What is given for ${name === 'where' ? 'where' : `the column ${name}`} cannot be used in ${nameOf(place)} of ${place.database}: ${reason}. Nothing was compared. Give the exact name of a column, or one SQL expression.`,
    { database: place.database, table: nameOf(place), for: name, reason },
  );

/** Whether rows of the table can be told apart by these columns: they hold a unique key without nulls. */
export const isKeyOf = (table: Table, columns: readonly string[]): boolean =>
  table.keys.some((key) => key.every((name) => columns.includes(name)));

export const tableSql = ({ table }: Side): string => qualify(table.schema, table.name);
