/** How a row of the table becomes one of its shadow, and back. */
import { quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import type { Column, Table } from '../../vault/table.ts';
import { expressionSql, invalid, tryOut } from '../expressions.ts';
import type { Alteration } from './alter.ts';
import type { Columns, MappedColumn } from './state.ts';

/** By columns. `forth`: of the shadow, over the table's columns. `back`: of the table, over the shadow's. */
export type GivenColumns = Readonly<
  Record<string, { readonly forth?: string | undefined; readonly back?: string | undefined }>
>;

export interface ColumnsRequest {
  readonly table: Table;
  readonly shadow: Table;
  readonly key: readonly string[];
  readonly alteration: Alteration;
  readonly given: GivenColumns;
}

/**
 * Columns of one name become each other, by an expression where one is given. With the session's own search_path.
 * @throws AppError `MAPPING_INVALID`, `KEY_UNUSABLE`
 */
export async function mapColumns(session: Session, request: ColumnsRequest): Promise<Columns> {
  const { table, shadow, key, alteration, given } = request;
  requireKey(shadow, key);
  for (const name of key)
    if (given[name] !== undefined)
      throw invalid(`the column ${name}`, 'it is part of the key by which rows of the two tables are found');
  for (const name of alteration.using)
    if (given[name]?.forth === undefined)
      throw invalid(
        `the column ${name}`,
        'its type is changed with USING, which does not tell how rows are written meanwhile: give the expression as `columns.<name>.forth`',
      );
  requireKnown(request);
  const forth = await mapTo(session, shadow, table, (name) => given[name]?.forth);
  const back = await mapTo(session, table, shadow, (name) => given[name]?.back);
  await requireFilled(session, shadow, forth);
  const always = shadow.columns.filter(({ identity }) => identity === 'a').map(({ name }) => name);
  return { key, forth, back, always };
}

function requireKey(shadow: Table, key: readonly string[]): void {
  if (shadow.keys.some((one) => one.length === key.length && one.every((name) => key.includes(name)))) return;
  throw new AppError(
    'KEY_UNUSABLE',
    `With what is given for \`alter\`, ${shadow.name} has no unique key of (${key.join(', ')}) any more, by which rows of the two tables could be told apart. Nothing was done. Leave the key, whose types may change.`,
    { columns: key },
  );
}

function requireKnown({ table, shadow, given }: ColumnsRequest): void {
  for (const [name, { forth, back }] of Object.entries(given)) {
    const missing = [
      ...(forth === undefined || shadow.columns.some((column) => column.name === name) ? [] : ['forth']),
      ...(back === undefined || table.columns.some((column) => column.name === name) ? [] : ['back']),
    ];
    if (missing.length > 0)
      throw invalid(`columns.${name}.${missing[0]}`, 'the table that it is for has no such column');
  }
}

async function mapTo(
  session: Session,
  to: Table,
  from: Table,
  given: (name: string) => string | undefined,
): Promise<MappedColumn[]> {
  const mapped: MappedColumn[] = [];
  for (const column of to.columns) {
    const text = given(column.name);
    if (column.generated !== '') {
      if (text !== undefined) throw invalid(`the column ${column.name}`, 'PostgreSQL generates it');
      continue;
    }
    const same = from.columns.find(({ name }) => name === column.name);
    if (text === undefined && same === undefined) continue;
    const of = `the column ${column.name}`;
    const value = text === undefined ? converted(same as Column, column) : await expressionSql(of, text);
    await tryOut(
      session,
      of,
      `insert into ${to.sql} (${quoteIdentifier(column.name)}) overriding system value select ${value} from only ${from.sql} where false`,
    );
    mapped.push({ name: column.name, value });
  }
  return mapped;
}

/** As ALTER COLUMN TYPE converts it, where nothing is said: what is too long is refused and not cut. */
function converted(source: Column, column: Column): string {
  const value = quoteIdentifier(source.name);
  return source.plainType === column.plainType ? value : `${value}::${column.plainType}`;
}

async function requireFilled(session: Session, shadow: Table, forth: readonly MappedColumn[]): Promise<void> {
  const { rows } = await session.query<{ name: string }>(
    `select attname as name from pg_catalog.pg_attribute
      where attrelid = $1 and attnum > 0 and not attisdropped and attnotnull and not atthasdef and attidentity = '' and attname <> all ($2)`,
    [shadow.oid, forth.map(({ name }) => name)],
  );
  const [empty] = rows;
  if (empty === undefined) return;
  throw invalid(
    `the column ${empty.name}`,
    'it is NOT NULL and has no default: give what it is filled with as `columns.<name>.forth`, or a default',
  );
}
