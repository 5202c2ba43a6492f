/** Values that an entry keeps, and how their rows are found again. */
import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { inSavepoint } from './as-vault.ts';
import { inVault, type VaultEntry } from './entry.ts';
import { equals } from './restore-rows.ts';
import type { Column, Table } from './table.ts';
import { missing, onlyOf } from './target.ts';
import type { Source } from './work.ts';

/** What is in the columns now. */
export interface Filling {
  /**
   * `added` in this transaction, so that nobody can have written to them; `emptied` in it, at least where a value of one
   * type is none of the other.
   */
  readonly columns: 'used' | 'added' | 'emptied';
  /** They were given another type in this transaction: the entry that keeps what stood in them before; null for none. */
  readonly copy: VaultEntry | null;
}

export interface ValueSource extends Source {
  readonly keptAs: VaultEntry;
  readonly target: Table;
  /** The columns to be written, in the entry's order. */
  readonly written: readonly Column[];
  /** Of rows without a key: what the migration left, as it reads now, is in `left_1` and on, unless it was `changed`. */
  readonly hasLeft: boolean;
}

/** Where rows of the target, `t`, are those of the source, `s`. */
export interface Match {
  readonly from: string;
  readonly on: string;
}

/** @throws AppError `VAULT_TARGET_MISSING` */
export async function sourceOf(
  session: Session,
  entry: VaultEntry,
  target: Table,
  { copy }: Filling,
): Promise<ValueSource> {
  const written = entry.columns.map((name) => {
    const column = target.columns.find((other) => other.name === name);
    if (column === undefined) throw missing(entry, `${target.schema}.${target.name}.${name}`);
    return column;
  });
  const relation = inVault(entry.relation ?? '');
  const places = entry.columns.map((_, index) => `value_${index + 1}`);
  const common = { entry: entry.id, keptAs: entry, target, written, at: 'at' };
  if (entry.keyColumns !== null) {
    const keys = entry.keyColumns.map((_, index) => `key_${index + 1}`);
    const sql = `(select v.ctid as at, v.* from ${relation} v)`;
    return { ...common, sql, columns: [...keys, ...places], hasLeft: false };
  }
  const columns = ['rest', ...places];
  const values = places.map((place) => `v.${place}::text`);
  // Rows that are alike are told apart by their number only: which of them gets which value makes no difference.
  if (entry.facts.hasNew !== true) {
    const sql = `(select v.ctid as at, v.*, row_number() over (partition by v.rest order by ${values.join()}) as nth
                    from ${relation} v cross join lateral generate_series(1, v.n))`;
    return { ...common, sql, columns, hasLeft: false };
  }
  const left = await leftOf(session, entry, written, copy);
  const sql = `(select v.*, row_number() over (partition by v.rest, ${left.names.map((name) => `v.${name}`).join()} order by ${values.join()}) as nth,
                       row_number() over (partition by v.rest, ${values.join()}) as nth_old from (${left.sql}) v)`;
  return { ...common, sql, columns, hasLeft: true };
}

/** Each kept row with what the migration left in its columns, as it reads in the types that they have now. */
async function leftOf(
  session: Session,
  entry: VaultEntry,
  written: readonly Column[],
  copy: VaultEntry | null,
): Promise<{ sql: string; names: string[] }> {
  const names = written.map((_, index) => `left_${index + 1}`);
  const kept = `select v.ctid as at, v.* from ${inVault(entry.relation ?? '')} v`;
  const rest = copy === null ? null : restAs(entry, copy);
  if (copy === null || rest === null) {
    const [read = () => ''] = await readings(session, entry, written);
    const left = written.map((_, index) => `v.new_${index + 1}${read(index + 1)} as ${names[index]}`);
    return { sql: `select v.*, ${left.join()}, false as changed from (${kept}) v`, names };
  }
  const numbers = written.map((_, index) => index + 1);
  const values = numbers.map((n) => `c.value_${n}::text`);
  const alike = numbers.map((n) => `c.old_${n} is not distinct from v.new_${n}`);
  return {
    names,
    sql: `select v.*, ${numbers.map((n) => `c.new_${n} as left_${n}`).join()}, c.rest is null as changed
      from (select v.*, row_number() over (partition by v.rest, ${numbers.map((n) => `v.new_${n}`).join()}) as copied from (${kept}) v) v
      left join (select ${rest} as rest, ${values.map((value, index) => `${value} as old_${index + 1}`).join()}, ${numbers.map((n) => `c.new_${n}`).join()},
                        row_number() over (partition by ${rest}, ${values.join()}) as copied from ${inVault(copy.relation ?? '')} c) c
        on c.rest = v.rest and c.copied = v.copied and ${alike.join(' and ')}`,
  };
}

/** The other columns of a copy's rows, in the entry's order; null where it has not all of them. */
function restAs(entry: VaultEntry, copy: VaultEntry): string | null {
  const has = copy.facts.rest ?? [];
  const places = (entry.facts.rest ?? []).map((name) => has.indexOf(name) + 1);
  if (copy.keyColumns !== null || copy.facts.hasNew !== true || places.includes(0)) return null;
  return `array[${places.map((place) => `c.rest[${place}]`).join()}]::text[]`;
}

/**
 * Ways in which what the migration left is read in the types that the columns have now, as text, the surest first: by
 * way of the type that it had then, and as it is written. Only such as can read all of it.
 */
export async function readings(
  session: Session,
  entry: VaultEntry,
  written: readonly Column[],
): Promise<readonly ((n: number) => string)[]> {
  const { newTypes } = entry.facts;
  const type = (n: number): string => written[n - 1]?.type ?? 'text';
  const ways = [
    ...(newTypes === undefined ? [] : [(n: number) => `::${newTypes[n - 1]}::${type(n)}::text`]),
    (n: number) => `::${type(n)}::text`,
  ];
  const possible: typeof ways = [];
  for (const way of ways) {
    const values = written.map((_, index) => `count(v.new_${index + 1}${way(index + 1)})`);
    try {
      await inSavepoint(session, () =>
        session.query(`select ${values.join()} from ${inVault(entry.relation ?? '')} v`),
      );
      possible.push(way);
    } catch (error) {
      if (!/^(22|42846|42704)/.test(sqlstateOf(error) ?? '')) throw error;
    }
  }
  return possible;
}

/** Null where a column by which rows are found is not there any more. */
export function matchOf(source: ValueSource, by: 'left' | 'value' = 'left'): Match | null {
  const { keptAs, target, written, hasLeft } = source;
  const names = keptAs.keyColumns ?? keptAs.facts.rest ?? [];
  const known = names.flatMap((name) => target.columns.find((column) => column.name === name) ?? []);
  if (known.length < names.length) return null;
  if (keptAs.keyColumns !== null) {
    const pairs = known.map((column, index) => equals(column, 't', `s.key_${index + 1}`));
    return { from: `${onlyOf(target)} t`, on: pairs.join(' and ') };
  }
  const rest = `array[${known.map(({ name }) => `r.${quoteIdentifier(name)}::text`).join()}]::text[]`;
  const values = written.map(({ name }) => `r.${quoteIdentifier(name)}::text`);
  const alike = hasLeft
    ? values.map((_, index) => `t.texts[${index + 1}] is not distinct from s.${by}_${index + 1}::text`)
    : [];
  const nth = hasLeft && by === 'value' ? 's.nth_old' : 's.nth';
  const unchanged = hasLeft && by === 'left' ? ['not s.changed'] : [];
  const within = [rest, ...(hasLeft ? values : [])].join();
  return {
    from: `(select r.tableoid as part, r.ctid as place, ${rest} as rest, array[${values.join()}]::text[] as texts, row_number() over (partition by ${within}) as nth from ${onlyOf(target)} r) t`,
    on: ['t.rest = s.rest', `t.nth = ${nth}`, ...unchanged, ...alike].join(' and '),
  };
}
