import type { Session } from '../db/session.ts';
import { inVault, type NewEntry, record } from './entry.ts';
import { originIn } from './origins.ts';
import type { VaultContext } from './removals.ts';
import { copyValues, hasLabel, oldColumns } from './save-column.ts';
import { readingAll } from './save-table.ts';
import { asText, readTable, type Table } from './table.ts';

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
  const found = keyColumns ?? entry.facts.rest ?? [];
  if (table === null || relation === null || ![...found, ...columns].every((name) => names.includes(name)))
    return record(session, entry, context);
  const before = inVault(`${relation}_old`);
  const from = `${table.kind === 'p' ? '' : 'only '}${table.sql}`;
  const sql =
    keyColumns === null || keyColumns === undefined
      ? withoutKey({ before, from, rest: found, columns })
      : withKey({ before, from, keyColumns, columns });
  await session.query(`alter table ${inVault(relation)} rename to ${relation}_old`);
  await readingAll(session, table, () => session.query(`create table ${inVault(relation)} as ${sql}`));
  await session.query(`drop table ${before}`);
  const newTypes = columns.map((name) => table.columns.find((one) => one.name === name)?.type ?? 'text');
  return record(session, { ...entry, facts: { ...entry.facts, hasNew: true, newTypes } }, context);
}

interface Migrated {
  /** The relation as it was copied before the statement. */
  readonly before: string;
  readonly from: string;
  readonly columns: readonly string[];
}

function withKey({
  before,
  from,
  keyColumns,
  columns,
}: Migrated & { readonly keyColumns: readonly string[] }): string {
  const news = columns.map((name, index) => `${asText(name, 't.')} as new_${index + 1}`);
  const match = keyColumns.map((name, index) => `${asText(name, 't.')} = v.key_${index + 1}::text`);
  return `select v.*, ${news.join()} from ${before} v left join ${from} t on ${match.join(' and ')}`;
}

/** One line for each row: of rows that are alike in all other columns which got which value cannot be told. */
function withoutKey({
  before,
  from,
  rest,
  columns,
}: Migrated & { readonly rest: readonly string[] }): string {
  const numbers = columns.map((_, index) => index + 1);
  const alike = `array[${rest.map((name) => asText(name, 'r.')).join()}]::text[]`;
  const texts = columns.map((name) => asText(name, 'r.'));
  return `select v.rest, ${numbers.map((n) => `v.value_${n}`).join()}, 1::bigint as n, ${numbers.map((n) => `t.new_${n}`).join()}
    from (select o.*, row_number() over (partition by o.rest order by ${numbers.map((n) => `o.value_${n}`).join()}) as nth
            from ${before} o cross join lateral generate_series(1, o.n)) v
    left join (select ${alike} as rest, ${texts.map((text, index) => `${text} as new_${index + 1}`).join()},
                      row_number() over (partition by ${alike} order by ${texts.join()}) as nth from ${from} r) t
      on t.rest = v.rest and t.nth = v.nth`;
}
