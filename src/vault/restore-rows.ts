import { quoteIdentifier } from '../db/quote.ts';
import type { Column, Table } from './table.ts';
import { onlyOf } from './target.ts';
import type { Source, Work } from './work.ts';

/** Rows that are to be in a table again. */
export interface RowSource extends Source {
  readonly target: Table;
}

export const has = (source: RowSource, names: readonly string[]): boolean =>
  names.every((name) => source.columns.includes(name));

/** Whether rows of the first table are rows of the second: it is that one, or a partition of it. */
export const isIn = ({ oid, ancestors }: Table, table: number): boolean =>
  oid === table || ancestors.includes(table);

/** Columns that are on both sides and can be written. */
const writable = ({ target, columns }: RowSource): Column[] =>
  target.columns.filter(({ name, generated }) => generated === '' && columns.includes(name));

/** A kept value in the type that the column has now: a text becomes it, the type's own length is left to the assignment. */
export const typed = (column: Column, value: string): string => `(${value})::${column.plainType}`;

/** Whether a row's column has this kept value, as a key on the column tells. */
export const equals = (column: Column, of: string, value: string): string =>
  `${of}.${quoteIdentifier(column.name)} operator(${column.equals}) ${typed(column, value)}`;

const matches = (source: RowSource, names: readonly string[]): string =>
  names
    .map((name) => {
      const column = source.target.columns.find((other) => other.name === name);
      const kept = `s.${quoteIdentifier(name)}`;
      return column === undefined ? 'false' : equals(column, 't', kept);
    })
    .join(' and ');

/** Both rows have the same values, as text, in every column that they share. */
const isSame = (source: RowSource): string => {
  const list = (of: string): string =>
    writable(source)
      .map(({ name }) => `${of}.${quoteIdentifier(name)}::text`)
      .join();
  return `array[${list('s')}]::text[] = array[${list('t')}]::text[]`;
};

/**
 * Puts rows into their table. A row whose key is in use is left out: as there already if it is the same row, else as a
 * conflict. @returns how many were put back
 */
export async function insertRows(source: RowSource, work: Work): Promise<number> {
  const { target } = source;
  const found = (condition: string): string => `exists (select from ${onlyOf(target)} t where ${condition})`;
  const [primary, ...others] = target.keys.filter((key) => has(source, key));
  if (primary !== undefined) {
    const same = matches(source, primary);
    await work.leave(source, 'present', '', found(`${same} and ${isSame(source)}`));
    await work.leave(source, 'keyReused', `another row has this ${primary.join(', ')} now`, found(same));
  }
  for (const key of others)
    await work.leave(
      source,
      'valueReused',
      `another row has this ${key.join(', ')} now`,
      found(matches(source, key)),
    );
  const columns = writable(source);
  const names = columns.map(({ name }) => quoteIdentifier(name));
  const values = columns.map((column) => typed(column, `s.${quoteIdentifier(column.name)}`));
  return work.forAll(
    source,
    (condition) =>
      `insert into ${target.sql} (${names.join()}) overriding system value select ${values.join()} from ${source.sql} s where ${condition}`,
  );
}
