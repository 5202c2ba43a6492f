/** What is put back may point to rows that were deleted since: then it stays out, and the rest comes back. */
import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { inSavepoint } from './as-vault.ts';
import { has, isIn, type RowSource, typed } from './restore-rows.ts';
import type { Match } from './restore-value-source.ts';
import type { Table } from './table.ts';
import { type ForeignKey, readForeignKeys } from './target.ts';
import type { Source, Work } from './work.ts';

/**
 * Finds the rows of which a parent is missing, now and among all that is to be put back.
 * @param others rows that may be there again
 */
export async function leaveOrphans(
  session: Session,
  sources: readonly RowSource[],
  others: readonly RowSource[],
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
      const kept = (name: string): string => keptIn(source.target, name, 's');
      const condition = missing(key, kept, [...sources, ...others], work);
      found += await leave(session, work, source, key, condition);
    }
  }
}

export interface Pointing {
  readonly source: Source;
  readonly target: Table;
  readonly match: Match;
  /** SQL, on `s` and `t`, of the value that a column is to have; null for one that stays as it is. */
  put(name: string): string | null;
}

/**
 * Finds the rows of which a value that is to be given back points to nothing.
 * @param sources rows that are still to be put back
 */
export async function leaveOrphanValues(
  session: Session,
  { source, target, match, put }: Pointing,
  sources: readonly RowSource[],
  work: Work,
): Promise<void> {
  for (const key of await readForeignKeys(session, target.oid, 'of')) {
    if (key.columns.every((name) => put(name) === null)) continue;
    const now = (name: string): string => `t.${quoteIdentifier(name)}`;
    const condition = missing(key, (name) => put(name) ?? now(name), sources, work);
    await leave(
      session,
      work,
      source,
      key,
      `exists (select from ${match.from} where ${match.on} and (${condition}))`,
    );
  }
}

const keptIn = (target: Table, name: string, of: string): string => {
  const column = target.columns.find((other) => other.name === name);
  const kept = `${of}.${quoteIdentifier(name)}`;
  return column === undefined ? kept : typed(column, kept);
};

const leave = (
  session: Session,
  work: Work,
  source: Source,
  key: ForeignKey,
  condition: string,
): Promise<number> =>
  inSavepoint(session, () =>
    work.leave(source, 'parentGone', `${key.name}: ${key.parentSql} has no such row`, condition),
  ).catch((error: unknown) => {
    // A value that is none of the column's type any more is found when it is written.
    if (!/^22/.test(sqlstateOf(error) ?? '')) throw error;
    return 0;
  });

/** Compared as the foreign key does: its operators know what is equal. */
function missing(
  key: ForeignKey,
  value: (name: string) => string,
  sources: readonly RowSource[],
  work: Work,
): string {
  const given = key.columns.map((name) => `${value(name)} is not null`);
  const parents = [
    { sql: key.parentSql, column: (name: string) => `p.${quoteIdentifier(name)}`, open: 'true' },
    ...sources
      .filter((other) => isIn(other.target, key.parent) && has(other, key.parentColumns))
      .map((other) => ({
        sql: other.sql,
        column: (name: string) => keptIn(other.target, name, 'p'),
        open: work.isOpen(other, 'p'),
      })),
  ];
  const whole = key.columns.slice(0, key.hasPeriod ? -1 : undefined);
  const found = parents.map(({ sql, column, open }) => {
    const pairs = whole.map(
      (name, index) =>
        `${column(key.parentColumns[index] ?? '')} operator(${key.operators[index]}) ${value(name)}`,
    );
    return { from: `from ${sql} p where ${[...pairs, open].join(' and ')}`, column };
  });
  if (!key.hasPeriod)
    return [...given, ...found.map(({ from }) => `not exists (select ${from})`)].join(' and ');
  const [period = '', parentPeriod = ''] = [key.columns.at(-1), key.parentColumns.at(-1)];
  const periods = found.map(({ from, column }) => `select ${column(parentPeriod)} as at ${from}`);
  const covered = `(select range_agg(u.at) @> ${value(period)} from (${periods.join(' union all ')}) u)`;
  return [...given, `${covered} is not true`].join(' and ');
}
