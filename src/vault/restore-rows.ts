import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { Column, Table } from './table.ts';
import { onlyOf, readForeignKeys } from './target.ts';
import type { Source, Work } from './work.ts';

/** Rows that are to be in a table again. */
export interface RowSource extends Source {
  readonly target: Table;
}

const has = (source: RowSource, names: readonly string[]): boolean =>
  names.every((name) => source.columns.includes(name));

/** Whether rows of the first table are rows of the second: it is that one, or a partition of it. */
export const isIn = ({ oid, ancestors }: Table, table: number): boolean =>
  oid === table || ancestors.includes(table);

/** Columns that are on both sides and can be written. */
const writable = ({ target, columns }: RowSource): Column[] =>
  target.columns.filter(({ name, generated }) => generated === '' && columns.includes(name));

/** A kept value in the type that the column has now: a text becomes it, the type's own length is left to the assignment. */
export const typed = (column: Column, value: string): string => `(${value})::${column.plainType}`;

const matches = (source: RowSource, names: readonly string[]): string =>
  names
    .map((name) => {
      const column = source.target.columns.find((other) => other.name === name);
      const kept = `s.${quoteIdentifier(name)}`;
      return `t.${quoteIdentifier(name)} = ${column === undefined ? kept : typed(column, kept)}`;
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

/** Finds the rows of which a parent is missing, now and among all that is to be put back. */
export async function leaveOrphans(
  session: Session,
  sources: readonly RowSource[],
  work: Work,
): Promise<void> {
  const keys = [];
  for (const source of sources)
    for (const key of await readForeignKeys(session, source.target.oid, 'of'))
      if (has(source, key.columns)) keys.push({ source, key });
  // A row that is left out may have been the parent of another.
  for (let found = 1; found > 0; ) {
    found = 0;
    for (const { source, key } of keys) {
      const pairs = (of: string): string =>
        key.columns
          .map(
            (name, index) =>
              `${of}.${quoteIdentifier(key.parentColumns[index] ?? '')}::text = s.${quoteIdentifier(name)}::text`,
          )
          .join(' and ');
      const given = key.columns.map((name) => `s.${quoteIdentifier(name)} is not null`).join(' and ');
      const restored = sources
        .filter(
          ({ target, columns }) =>
            isIn(target, key.parent) && key.parentColumns.every((name) => columns.includes(name)),
        )
        .map(
          (other) =>
            ` and not exists (select from ${other.sql} p where ${pairs('p')} and ${work.isOpen(other, 'p')})`,
        );
      found += await work.leave(
        source,
        'parentGone',
        `${key.name}: ${key.parentSql} has no such row`,
        `${given} and not exists (select from ${key.parentSql} p where ${pairs('p')})${restored.join('')}`,
      );
    }
  }
}

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
