import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { inVault, type VaultEntry } from './entry.ts';
import { lockRows, lockTable } from './restore-locks.ts';
import { leaveOrphanValues } from './restore-parents.ts';
import { type RowSource, typed } from './restore-rows.ts';
import {
  type Filling,
  type Match,
  matchOf,
  readings,
  sourceOf,
  type ValueSource,
} from './restore-value-source.ts';
import type { Table } from './table.ts';
import { onlyOf } from './target.ts';
import type { Source, Work } from './work.ts';

export type { Filling };

/**
 * Puts values back into columns, row by row of the key. A row that is gone, and a value that was changed since, are
 * conflicts.
 * @throws AppError `VAULT_TARGET_MISSING`
 */
export async function restoreValues(
  session: Session,
  entry: VaultEntry,
  target: Table,
  filling: Filling,
  parents: readonly RowSource[],
  work: Work,
): Promise<{ source: Source; restored: number }> {
  const source = await sourceOf(session, entry, target, filling);
  if (source.written.every(({ generated }) => generated !== '')) return { source, restored: 0 };
  const match = matchOf(source);
  if (match === null) {
    await work.leave(source, 'columnGone', 'a column by which its row was to be found is gone', 'true');
    return { source, restored: 0 };
  }
  const keyed = entry.keyColumns !== null;
  if (keyed)
    await lockRows(session, target, { from: `${match.from}, ${source.sql} s`, on: match.on, going: false });
  else await lockTable(session, target);
  if (source.hasLeft) await leaveUnlike(source, match, work);
  else await leaveByRow(session, source, match, filling, work);
  const pointing = {
    source,
    target,
    match,
    put(name: string): string | null {
      const index = source.written.findIndex((column) => column.name === name);
      const column = source.written[index];
      return column === undefined ? null : typed(column, `s.value_${index + 1}`);
    },
  };
  if (keyed) await leaveOrphanValues(session, pointing, parents, work);
  const sets = source.written.flatMap((column, index) =>
    column.generated === ''
      ? [`${quoteIdentifier(column.name)} = ${typed(column, `s.value_${index + 1}`)}`]
      : [],
  );
  const update = keyed ? match.from : `${onlyOf(target)} u`;
  const from = keyed ? '' : `, ${match.from}`;
  const itself = keyed ? '' : ' and u.ctid = t.place and u.tableoid = t.part';
  const restored = await work.forAll(
    source,
    (condition) =>
      `update ${update} set ${sets.join()} from ${source.sql} s${from} where ${match.on} and ${condition}${itself}`,
  );
  return { source, restored };
}

/** Rows that are found whatever stands in the columns, by their key or by all other columns. */
async function leaveByRow(
  session: Session,
  source: ValueSource,
  match: Match,
  filling: Filling,
  work: Work,
): Promise<void> {
  const found = (condition: string): string =>
    `exists (select from ${match.from} where ${match.on} and (${condition}))`;
  await work.leave(source, 'rowGone', 'its row was deleted since', `not ${found('true')}`);
  await work.leave(source, 'present', '', found(all(source, (n) => same(source, n, `s.value_${n}::text`))));
  if (filling.columns === 'added') return;
  const { keptAs } = source;
  const left = await leftCondition(session, source, filling);
  const kept = filling.columns === 'emptied' && filling.copy !== null ? '; the rollback has kept it' : '';
  const changed =
    keptAs.keyColumns !== null && filling.copy !== null && keptAs.facts.hasNew === true
      ? `not ${inCopy(keptAs, filling.copy)}`
      : `not ${found(left)}`;
  await work.leave(source, 'changedSince', `the value was changed since${kept}`, changed);
}

/**
 * Rows that are found by what the migration left in the columns, too. Of rows that are alike but for their old values
 * it cannot be told which of them was changed.
 */
async function leaveUnlike(source: ValueSource, match: Match, work: Work): Promise<void> {
  const { rest = [] } = source.keptAs.facts;
  const alike = rest.map(
    (name, index) => `r.${quoteIdentifier(name)}::text is not distinct from s.rest[${index + 1}]`,
  );
  await work.leave(
    source,
    'rowGone',
    'its row was deleted since',
    `not exists (select from ${onlyOf(source.target)} r where ${['true', ...alike].join(' and ')})`,
  );
  const old = matchOf(source, 'value') ?? match;
  const foundBy = ({ from, on }: Match): string => `exists (select from ${from} where ${on})`;
  const changed = 'the value was changed since';
  await work.leave(source, 'changedSince', changed, `not ${foundBy(match)} and not ${foundBy(old)}`);
  const values = (of: string): string =>
    `array[${source.written.map((_, index) => `${of}.value_${index + 1}::text`).join()}]`;
  await work.leave(
    source,
    'changedSince',
    `${changed}, here or in a row like it`,
    `exists (select from ${source.sql} o where o.rest = s.rest and ${values('o')} <> ${values('s')} and not ${work.isOpen(source, 'o')})`,
  );
  await work.leave(source, 'present', '', foundBy(old));
}

const all = ({ written }: ValueSource, condition: (n: number) => string): string =>
  written.map((_, index) => `(${condition(index + 1)})`).join(' and ');

/** On `t`: the column, of this number, has this text now. */
const same = ({ keptAs, written }: ValueSource, n: number, value: string): string => {
  const now =
    keptAs.keyColumns === null ? `t.texts[${n}]` : `t.${quoteIdentifier(written[n - 1]?.name ?? '')}::text`;
  return `${now} is not distinct from ${value}`;
};

/**
 * A value is as the migration left it if it is what the statement made of the old one, read in the type that the column
 * has now; of a dropped column, if there is none.
 */
async function leftCondition(session: Session, source: ValueSource, { columns }: Filling): Promise<string> {
  const none = (n: number): string => same(source, n, 'null');
  if (source.keptAs.facts.hasNew !== true) return all(source, none);
  const read = await readings(session, source.keptAs, source.written);
  return all(source, (n) => {
    const ways = [(): string => '', ...read].map((way) => same(source, n, `s.new_${n}${way(n)}`));
    if (columns === 'emptied') ways.push(none(n));
    return ways.join(' or ');
  });
}

/** What stood in the columns before they were given another type is what the migration had left there. */
function inCopy(entry: VaultEntry, copy: VaultEntry): string {
  const keys = (entry.keyColumns ?? []).map(
    (_, index) => `r.key_${index + 1}::text = s.key_${index + 1}::text`,
  );
  const values = entry.columns.map(
    (_, index) => `r.value_${index + 1}::text is not distinct from s.new_${index + 1}`,
  );
  return `exists (select from ${inVault(copy.relation ?? '')} r where ${[...keys, ...values].join(' and ')})`;
}
