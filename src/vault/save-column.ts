import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { type EntryFacts, inVault, type NewEntry, nameEntry, record } from './entry.ts';
import { keyBy, type Origin, originIn } from './origins.ts';
import type { VaultContext } from './removals.ts';
import { readingAll } from './save-table.ts';
import { asText, type Column, keptValue, readOwnedSequences, type Table } from './table.ts';

/** Keeps the values of columns that go, with their rows' key. The table must be locked against writes. */
export async function saveColumns(
  session: Session,
  table: Table,
  names: readonly string[],
  context: VaultContext,
): Promise<string[]> {
  const origin = originIn(context, table);
  // What is computed from other columns holds nothing of its own.
  const columns = oldColumns(table, origin).filter(({ name }) => names.includes(name));
  if (columns.length === 0) return [];
  const owned = await readOwnedSequences(session, table.oid);
  const sequences = owned.filter(({ column }) => columns.some(({ name }) => name === column));
  const entry = await copyValues(session, table, {
    kind: 'column',
    columns,
    without: names,
    condition: '',
    origin,
  });
  return [await record(session, { ...entry, facts: { ...entry.facts, sequences } }, context)];
}

/** Those that hold something from before the migration. */
export const oldColumns = ({ columns }: Table, { was }: Origin): Column[] =>
  columns.filter(({ name, generated }) => generated === '' && was(name) !== null);

interface Values {
  readonly kind: 'column' | 'values' | 'label';
  readonly columns: readonly Column[];
  /** Columns that cannot help to find the row again. */
  readonly without: readonly string[];
  /** SQL, or empty. */
  readonly condition: string;
  readonly origin: Origin;
}

/**
 * Makes a relation of the columns' values, `value_1` and on, by the row's key, `key_1` and on; without a key by all other
 * columns (`rest`) and how many rows are like that (`n`).
 */
export async function copyValues(
  session: Session,
  table: Table,
  { kind, columns, without, condition, origin }: Values,
): Promise<NewEntry> {
  const { id, relation } = nameEntry(kind);
  const key = keyBy(table, origin, without);
  const rest = oldColumns(table, origin).filter(({ name }) => !without.includes(name));
  const from = `from ${table.kind === 'p' ? '' : 'only '}${table.sql}${condition === '' ? '' : ` where ${condition}`}`;
  const sql = key === null ? withoutKey(rest, columns, from) : withKey(table, key, columns, from);
  const { rowCount } = await readingAll(session, table, () =>
    session.query(`create table ${inVault(relation)} as ${sql}`),
  );
  const facts: EntryFacts = {
    columns: columns.map(({ name, type, notNull }) => ({ name, type, notNull, generated: false })),
    root: table.root,
    only: table.kind !== 'p',
    ...(key === null ? { rest: rest.map(({ name }) => name) } : {}),
  };
  return {
    id,
    kind,
    schema: table.schema,
    table: table.name,
    columns: columns.map(({ name }) => name),
    keyColumns: key,
    relation,
    facts,
    rows: rowCount,
    origin,
  };
}

function withKey(table: Table, key: readonly string[], columns: readonly Column[], from: string): string {
  const keys = key.map((name, index) => {
    const column = table.columns.find((other) => other.name === name);
    return `${column === undefined ? quoteIdentifier(name) : keptValue(column)} as key_${index + 1}`;
  });
  return `select ${[...keys, ...columns.map((column, index) => `${keptValue(column)} as value_${index + 1}`)].join()} ${from}`;
}

function withoutKey(rest: readonly Column[], columns: readonly Column[], from: string): string {
  const texts = rest.map(({ name }) => asText(name)).join();
  const values = columns.map(({ name }, index) => `${asText(name)} as value_${index + 1}`);
  return `select array[${texts}]::text[] as rest, ${values.join()}, count(*) as n ${from} group by ${[1, ...columns.map((_, index) => index + 2)].join()}`;
}

/** Rows whose value, as text, is one of these. */
export const hasLabel = (columns: readonly Column[], labels: readonly string[]): string =>
  columns
    .map(({ name }) => `${quoteIdentifier(name)}::text in (${labels.map(quoteLiteral).join()})`)
    .join(' or ');
