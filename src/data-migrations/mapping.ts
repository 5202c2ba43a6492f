/** Which columns of the written table come from what, for kinds that write to another table than they read. */
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { Column, Table } from '../vault/table.ts';
import { onlyOf } from '../vault/target.ts';
import { columnsSql, expressionSql, invalid, requireWritable, tryOut } from './expressions.ts';

export interface Mapping {
  /** Of the written table, in this order. */
  readonly names: readonly string[];
  /** For SQL: what each comes from, over the columns of the source. */
  readonly values: readonly string[];
  /** For SQL: `("id", "total") overriding system value`. */
  readonly into: string;
  /** Every column has a built-in type, whose binary form is the same everywhere. */
  readonly binary: boolean;
}

export interface MappingRequest {
  readonly source: Table;
  readonly written: Table;
  readonly columns: Readonly<Record<string, string>> | undefined;
}

/** @throws AppError `MAPPING_INVALID` */
export async function readMapping(
  sessions: { readonly source: Session; readonly written: Session },
  { source, written, columns }: MappingRequest,
): Promise<Mapping> {
  const given = columns ?? sameNames(source, written);
  const names = Object.keys(given);
  requireWritable(written, names, true);
  const values: string[] = [];
  for (const [name, text] of Object.entries(given)) {
    const of = `the column ${name}`;
    const own = source.columns.some((column) => column.name === text);
    const value = own ? `${source.sql}.${quoteIdentifier(text)}` : await expressionSql(of, text);
    await tryOut(sessions.source, of, `select ${value} from ${onlyOf(source)}`);
    values.push(await requireAssignable(sessions, source, written, name, value));
  }
  return {
    names,
    values,
    into: intoSql(written, names),
    binary: written.columns.every((column) => column.builtIn || !names.includes(column.name)),
  };
}

/** For INSERT INTO. */
export function intoSql(written: Table, names: readonly string[]): string {
  const overriding = written.columns.some((column) => column.identity === 'a' && names.includes(column.name));
  return `${written.sql} (${columnsSql(names)})${overriding ? ' overriding system value' : ''}`;
}

/** Columns that PostgreSQL generates are not copied. */
function sameNames(source: Table, written: Table): Record<string, string> {
  const wanted = written.columns.filter((column) => column.generated === '').map((column) => column.name);
  const missing = wanted.filter((name) => !source.columns.some((column) => column.name === name));
  if (missing.length > 0)
    throw invalid(
      'columns',
      `${source.schema}.${source.name} has no column ${missing.join(', ')}, which ${written.schema}.${written.name} has; without \`columns\` all come from those of the same name`,
    );
  return Object.fromEntries(wanted.map((name) => [name, name]));
}

/**
 * Whether PostgreSQL would put the value into the column. In another database it travels in the column's own type: a
 * cast to that, without its length, so that what is too long is refused and not cut.
 */
async function requireAssignable(
  { source: reading, written: writing }: { readonly source: Session; readonly written: Session },
  source: Table,
  written: Table,
  name: string,
  value: string,
): Promise<string> {
  const of = `the column ${name}`;
  const into = `insert into ${written.sql} (${quoteIdentifier(name)}) overriding system value`;
  if (reading === writing) {
    await tryOut(writing, of, `${into} select ${value} from ${onlyOf(source)} where false`);
    return value;
  }
  const { rows } = await reading.query<{ type: string }>(
    `select pg_catalog.format_type(pg_catalog.pg_typeof(${value}), null) as type from (select 1) one left join ${onlyOf(source)} on false`,
  );
  await tryOut(writing, of, `${into} select null::${rows[0]?.type ?? 'text'} where false`);
  const column = written.columns.find((one) => one.name === name) as Column;
  return `${value}::${column.builtIn ? column.plainType : 'pg_catalog.text'}`;
}

/** `ON CONFLICT …` of the written table; empty for `fail`. @throws AppError `KEY_UNUSABLE` */
export function conflictSql(
  written: Table,
  { names }: Pick<Mapping, 'names'>,
  onConflict: 'fail' | 'skip' | 'update',
): string {
  if (onConflict === 'fail') return '';
  if (onConflict === 'skip') return 'on conflict do nothing';
  const key = written.keys.find((columns) => columns.every((name) => names.includes(name)));
  if (key === undefined)
    throw new AppError(
      'KEY_UNUSABLE',
      `${written.schema}.${written.name} has no unique key without nulls among the columns that are written (${names.join(', ')}), by which a row that is there already could be found. Nothing was done. Map the columns of its primary key.`,
      { table: `${written.schema}.${written.name}`, columns: names },
    );
  const rest = names.filter((name) => !key.includes(name));
  // A row of key columns only is there already as it should be; it counts as written.
  const set = (rest.length > 0 ? rest : key).map(
    (name) => `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`,
  );
  return `on conflict (${columnsSql(key)}) do update set ${set.join(', ')}`;
}
