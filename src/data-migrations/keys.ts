/** By which key a data migration goes through a table, and how keys are compared so that the key's index serves. */
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { Table } from '../vault/table.ts';

/** Values of a key's columns, as PostgreSQL prints them under the settings of `openPlace`. */
export type KeyValues = readonly string[];

export interface KeyColumn {
  readonly name: string;
  /** For SQL, without length and precision. */
  readonly type: string;
}

/** A unique key without nulls that has a btree index in the default order of its types, from which rows are read. */
export interface Key {
  readonly index: string;
  readonly columns: readonly KeyColumn[];
  /** Operators of the index for SQL: `operator(pg_catalog.>)`. */
  readonly above: string;
  readonly upTo: string;
  readonly equals: string;
}

/** Rows with `after < key <= through`; an `after` of null is before the first row. */
export interface Window {
  readonly after: KeyValues | null;
  readonly through: KeyValues;
}

interface IndexRow {
  readonly index: string;
  readonly columns: readonly (KeyColumn & { nullable: boolean; fits: boolean; operators: string[] })[];
}

/**
 * The key that is named, else the primary key, else the shortest unique one.
 * @throws AppError `KEY_UNUSABLE` saying why none will do
 */
export async function chooseKey(
  session: Session,
  table: Table,
  wanted: readonly string[] | undefined,
): Promise<Key> {
  const { rows } = await session.query<IndexRow>(indexesSql, [table.oid]);
  const named = wanted === undefined ? rows : rows.filter(({ columns }) => isNamed(columns, wanted));
  for (const row of named) {
    const key = keyOf(row);
    if (typeof key !== 'string') return key;
  }
  throw unusable(table, wanted, named);
}

const isNamed = (columns: readonly KeyColumn[], wanted: readonly string[]): boolean =>
  columns.length === wanted.length && wanted.every((name) => columns.some((column) => column.name === name));

/** The key, or why the index is none. */
function keyOf({ index, columns }: IndexRow): Key | string {
  const nullable = columns.filter((column) => column.nullable).map(({ name }) => name);
  if (nullable.length > 0) return `${index} has columns that may be null: ${nullable.join(', ')}`;
  if (columns.some(({ fits }) => !fits))
    return `${index} is not in the order in which its columns' types sort (another operator class, collation or mixed directions)`;
  const [above, upTo, equals] = columns[0]?.operators ?? [];
  const alike = columns.every(({ operators }) => operators.join() === columns[0]?.operators.join());
  if (above === undefined || upTo === undefined || equals === undefined || !alike)
    return `${index} joins columns whose types compare by operators of different schemas`;
  return { index, columns: columns.map(({ name, type }) => ({ name, type })), above, upTo, equals };
}

function unusable(table: Table, wanted: readonly string[] | undefined, rows: readonly IndexRow[]): AppError {
  const name = `${table.schema}.${table.name}`;
  const what =
    wanted === undefined
      ? `${name} has no unique key by which its rows can be gone through one after the other`
      : `${name} has no unique key of (${wanted.join(', ')}) by which its rows can be gone through one after the other`;
  const reasons = rows.map((row) => keyOf(row)).filter((reason) => typeof reason === 'string');
  const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
  return new AppError(
    'KEY_UNUSABLE',
    `${what}${why}. Nothing was done. Make a primary key, or a unique index (CREATE UNIQUE INDEX CONCURRENTLY) over columns that are NOT NULL. ` +
      'Without one only a `copy` with `from: "snapshot"` can be had, which is one transaction.',
    { table: name, ...(wanted === undefined ? {} : { columns: wanted }), reasons },
  );
}

/** Unique btree indexes over plain columns; `fits`: default operator class, the column's own collation, one direction. */
const indexesSql = `
  select i.indexrelid::regclass::text as index,
    json_agg(json_build_object('name', a.attname, 'type', format('%I.%I', tn.nspname, t.typname), 'nullable', not a.attnotnull,
      'fits', o.opcdefault and i.indcollation[u.n - 1] = a.attcollation and (i.indoption[u.n - 1] & 1) = (i.indoption[0] & 1),
      'operators', (select json_agg(format('operator(%I.%s)', pn.nspname, p.oprname) order by array_position(array[5, 2, 3]::int2[], m.amopstrategy))
        from pg_amop m join pg_operator p on p.oid = m.amopopr join pg_namespace pn on pn.oid = p.oprnamespace
       where m.amopfamily = o.opcfamily and m.amoplefttype = o.opcintype and m.amoprighttype = o.opcintype and m.amopstrategy in (2, 3, 5))) order by u.n) as columns
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am am on am.oid = c.relam and am.amname = 'btree'
    cross join lateral unnest(i.indkey::int2[]) with ordinality u(attnum, n)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
    join pg_type t on t.oid = a.atttypid join pg_namespace tn on tn.oid = t.typnamespace
    join pg_opclass o on o.oid = i.indclass[u.n - 1]
   where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indisready and i.indpred is null and i.indexprs is null and u.n <= i.indnkeyatts
   group by i.indexrelid, i.indisprimary, i.indnkeyatts
   order by i.indisprimary desc, i.indnkeyatts, i.indexrelid`;

/** The key's columns of a relation, for a row comparison: one column stands for itself. */
const rowOf = (parts: readonly string[]): string =>
  parts.length === 1 ? (parts[0] as string) : `(${parts.join(', ')})`;

export const keyColumnsSql = (key: Key, relation: string): string[] =>
  key.columns.map(({ name }) => `${relation}.${quoteIdentifier(name)}`);

const valuesSql = (key: Key, values: KeyValues): string =>
  rowOf(key.columns.map(({ type }, n) => `${quoteLiteral(values[n] ?? '')}::${type}`));

/** On the relation: its rows above a key. */
export const aboveSql = (key: Key, relation: string, values: KeyValues): string =>
  `${rowOf(keyColumnsSql(key, relation))} ${key.above} ${valuesSql(key, values)}`;

export const upToSql = (key: Key, relation: string, values: KeyValues): string =>
  `${rowOf(keyColumnsSql(key, relation))} ${key.upTo} ${valuesSql(key, values)}`;

/** On the relation: its rows up to the key whose columns' values these are, for SQL. */
export const upToValuesSql = (key: Key, relation: string, values: readonly string[]): string =>
  `${rowOf(keyColumnsSql(key, relation))} ${key.upTo} ${rowOf(values)}`;

export const equalsSql = (key: Key, relation: string, values: KeyValues): string =>
  key.columns
    .map(
      ({ name, type }, n) =>
        `${relation}.${quoteIdentifier(name)} ${key.equals} ${quoteLiteral(values[n] ?? '')}::${type}`,
    )
    .join(' and ');

/** On the relation: its rows with one of these keys, of which there is at least one. */
export const keyListSql = (key: Key, relation: string, list: readonly KeyValues[]): string =>
  `(${list.map((values) => `(${equalsSql(key, relation, values)})`).join(' or ')})`;

/** On two relations that both have the key's columns. */
export const sameKeySql = (key: Key, one: string, other: string): string =>
  key.columns
    .map(({ name }) => {
      const column = quoteIdentifier(name);
      return `${one}.${column} ${key.equals} ${other}.${column}`;
    })
    .join(' and ');

export const windowSql = (key: Key, relation: string, { after, through }: Window): string =>
  [...(after === null ? [] : [aboveSql(key, relation, after)]), upToSql(key, relation, through)].join(
    ' and ',
  );

/** `array["id"::text]` of a relation with the key's columns. */
export const keyTextsSql = (key: Key, relation: string): string =>
  `array[${keyColumnsSql(key, relation)
    .map((column) => `${column}::pg_catalog.text`)
    .join(', ')}]`;

export const orderSql = (key: Key, relation: string, direction: 'asc' | 'desc' = 'asc'): string =>
  keyColumnsSql(key, relation)
    .map((column) => `${column} ${direction}`)
    .join(', ');

export const keyValuesSql = valuesSql;
