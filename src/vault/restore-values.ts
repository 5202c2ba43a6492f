import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { inSavepoint } from './as-vault.ts';
import { inVault, type VaultEntry } from './entry.ts';
import { typed } from './restore-rows.ts';
import type { Column, Table } from './table.ts';
import { missing, onlyOf } from './target.ts';
import type { Source, Work } from './work.ts';

/**
 * What is in the columns now. `fresh`: they were made in this transaction, so that nobody can have written to them;
 * a relation: they were emptied in this transaction, and it keeps, by the same key, what stood in them before.
 */
export type Filling = 'used' | 'fresh' | { readonly relation: string };

interface ValueSource extends Source {
  readonly keptAs: VaultEntry;
  readonly target: Table;
  readonly columns: readonly string[];
  /** The columns to be written, in the entry's order. */
  readonly written: readonly Column[];
}

/**
 * Puts values back into columns, row by row of the key. A row that is gone, and a value that was changed since, are
 * conflicts.
 */
export async function restoreValues(
  session: Session,
  entry: VaultEntry,
  target: Table,
  filling: Filling,
  work: Work,
): Promise<{ source: Source; restored: number }> {
  const source = sourceOf(entry, target);
  if (source.written.every(({ generated }) => generated !== '')) return { source, restored: 0 };
  const match = matchOf(source);
  if (match === null) {
    await work.leave(source, 'columnGone', 'a column by which its row was to be found is gone', 'true');
    return { source, restored: 0 };
  }
  const found = (condition: string): string =>
    `exists (select from ${match.from} where ${match.on} and (${condition}))`;
  await work.leave(source, 'rowGone', 'its row was deleted since', `not ${found('true')}`);
  await work.leave(
    source,
    'present',
    '',
    found(all(source, (column, n) => same(column, `s.value_${n}::text`))),
  );
  if (filling === 'used') await leaveChanged(session, source, match, work);
  if (typeof filling === 'object') await leaveReplaced(source, filling.relation, work);
  const sets = source.written.flatMap((column, index) =>
    column.generated === ''
      ? [`${quoteIdentifier(column.name)} = ${typed(column, `s.value_${index + 1}`)}`]
      : [],
  );
  const update = entry.keyColumns === null ? `${onlyOf(target)} u` : match.from;
  const from = entry.keyColumns === null ? `, ${match.from}` : '';
  const itself = entry.keyColumns === null ? ' and u.ctid = t.ctid and u.tableoid = t.tableoid' : '';
  const restored = await work.forAll(
    source,
    (condition) =>
      `update ${update} set ${sets.join()} from ${source.sql} s${from} where ${match.on} and ${condition}${itself}`,
  );
  return { source, restored };
}

function sourceOf(entry: VaultEntry, target: Table): ValueSource {
  const written = entry.columns.map((name) => {
    const column = target.columns.find((other) => other.name === name);
    if (column === undefined) throw missing(entry, `${target.schema}.${target.name}.${name}`);
    return column;
  });
  const relation = inVault(entry.relation ?? '');
  const places = entry.columns.map((_, index) => `value_${index + 1}`);
  if (entry.keyColumns !== null) {
    const keys = entry.keyColumns.map((_, index) => `key_${index + 1}`);
    const sql = `(select v.ctid as " at", v.* from ${relation} v)`;
    return { entry: entry.id, keptAs: entry, sql, columns: [...keys, ...places], target, written };
  }
  // Rows that are alike are told apart by their number only: which of them gets which value makes no difference.
  const sql = `(select v.ctid as " at", v.*, row_number() over (partition by v.rest order by ${places.join()}) as nth
                  from ${relation} v cross join lateral generate_series(1, v.n))`;
  return { entry: entry.id, keptAs: entry, sql, columns: ['rest', ...places], target, written };
}

interface Match {
  readonly from: string;
  readonly on: string;
}

function matchOf({ keptAs, target }: ValueSource): Match | null {
  const names = keptAs.keyColumns ?? keptAs.facts.rest ?? [];
  const columns = names.map((name) => target.columns.find((column) => column.name === name));
  if (columns.some((column) => column === undefined)) return null;
  const known = columns.filter((column) => column !== undefined);
  if (keptAs.keyColumns !== null) {
    const pairs = known.map(
      (column, index) => `t.${quoteIdentifier(column.name)} = ${typed(column, `s.key_${index + 1}`)}`,
    );
    return { from: `${onlyOf(target)} t`, on: pairs.join(' and ') };
  }
  const rest = `array[${known.map(({ name }) => `r.${quoteIdentifier(name)}::text`).join()}]::text[]`;
  return {
    from: `(select r.tableoid, r.ctid, r.*, ${rest} as " rest", row_number() over (partition by ${rest}) as " nth" from ${onlyOf(target)} r) t`,
    on: 't." rest" = s.rest and t." nth" = s.nth',
  };
}

const all = ({ written }: ValueSource, condition: (column: Column, n: number) => string): string =>
  written.map((column, index) => `(${condition(column, index + 1)})`).join(' and ');

const same = (column: Column, value: string): string =>
  `t.${quoteIdentifier(column.name)}::text is not distinct from ${value}`;

/**
 * A value is as the migration left it if it is what the statement made of the old one, read in the type that the column
 * has now; of a dropped column, if there is none.
 */
async function leaveChanged(session: Session, source: ValueSource, match: Match, work: Work): Promise<void> {
  const hasNew = source.keptAs.facts.hasNew === true;
  const untouched = (read: boolean): string =>
    all(source, (column, n) => {
      if (!hasNew) return `t.${quoteIdentifier(column.name)} is null`;
      const written = same(column, `s.new_${n}`);
      return read ? `${written} or ${same(column, `s.new_${n}::${column.type}::text`)}` : written;
    });
  const leave = (read: boolean): Promise<number> =>
    work.leave(
      source,
      'changedSince',
      'the value was changed since',
      `exists (select from ${match.from} where ${match.on} and not (${untouched(read)}))`,
    );
  try {
    await inSavepoint(session, () => leave(true));
  } catch (error) {
    // Not every value of the new type can be read as one of the old.
    if (!/^(22|42846)/.test(sqlstateOf(error) ?? '')) throw error;
    await leave(false);
  }
}

/** Of columns that were emptied: what stood in them tells whether somebody had changed it since the migration. */
async function leaveReplaced(
  { keptAs, ...source }: ValueSource,
  relation: string,
  work: Work,
): Promise<void> {
  if (keptAs.keyColumns === null || keptAs.facts.hasNew !== true) return;
  const keys = keptAs.keyColumns.map((_, index) => `r.key_${index + 1}::text = s.key_${index + 1}::text`);
  const changed = keptAs.columns.map(
    (_, index) => `r.value_${index + 1}::text is distinct from s.new_${index + 1}`,
  );
  await work.leave(
    source,
    'changedSince',
    'the value was changed since; the rollback has kept it',
    `exists (select from ${inVault(relation)} r where ${keys.join(' and ')} and (${changed.join(' or ')}))`,
  );
}
