import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { inVault, type NewEntry, record } from './entry.ts';
import { originIn } from './origins.ts';
import type { VaultContext } from './removals.ts';
import { copyValues, hasLabel, oldColumns } from './save-column.ts';
import { readTable, type Table } from './table.ts';

/**
 * Keeps the values of columns as they are before a statement changes their type. The entry is written down by
 * `recordMigrated`, after the statement, together with what has become of the values.
 */
export async function copyOldValues(
  session: Session,
  table: Table,
  names: readonly string[],
  labels: readonly string[] | undefined,
  context: VaultContext,
): Promise<NewEntry | null> {
  const origin = originIn(context, table);
  const columns = oldColumns(table, origin).filter(({ name }) => names.includes(name));
  if (columns.length === 0) return null;
  const entry = await copyValues(session, table, {
    kind: labels === undefined ? 'values' : 'label',
    columns,
    without: names,
    condition: labels === undefined ? '' : hasLabel(columns, labels),
    origin,
  });
  return labels === undefined ? entry : { ...entry, facts: { ...entry.facts, labels } };
}

/** Adds what the statement made of each value, as text: by that a later change of the application is told from it. */
export async function recordMigrated(
  session: Session,
  oid: number,
  entry: NewEntry,
  context: VaultContext,
): Promise<string> {
  const table = await readTable(session, oid);
  const { keyColumns, relation, columns = [] } = entry;
  const names = table?.columns.map(({ name }) => name) ?? [];
  const findable =
    table !== null &&
    relation !== null &&
    keyColumns != null &&
    [...keyColumns, ...columns].every((name) => names.includes(name));
  if (!findable) return record(session, entry, context);
  const news = columns.map((name, index) => `t.${quoteIdentifier(name)}::text as new_${index + 1}`);
  const match = keyColumns.map(
    (name, index) => `t.${quoteIdentifier(name)}::text = v.key_${index + 1}::text`,
  );
  const before = inVault(`${relation}_old`);
  await session.query(`alter table ${inVault(relation)} rename to ${relation}_old`);
  await session.query(
    `create table ${inVault(relation)} as select v.*, ${news.join()} from ${before} v left join ${table.kind === 'p' ? '' : 'only '}${table.sql} t on ${match.join(' and ')}`,
  );
  await session.query(`drop table ${before}`);
  return record(session, { ...entry, facts: { ...entry.facts, hasNew: true } }, context);
}
