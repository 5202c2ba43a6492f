/** Gives values to columns that were added to tables with rows. */
import { quoteIdentifier } from '../../db/quote.ts';
import type { Column, Connection, Table, Types } from './catalogue.ts';
import { refusalOf } from './refusal.ts';
import { valueFor } from './values.ts';

/** Best effort, a column at a time: what no value fits stays NULL. */
export async function fillNewColumns(
  client: Connection,
  table: Table,
  types: Types,
  newerThan: number,
): Promise<void> {
  for (const column of table.columns) {
    if (column.number <= newerThan || column.notNull || column.generated || column.identity) continue;
    const source = sourceOf(table, column, types);
    const values = source === null ? [] : await source(client);
    if (values.length > 0) await attempt(client, updateSql(table, column, values));
  }
}

type Source = (client: Connection) => Promise<string[]>;

/** Where the values come from: the table that a foreign key points to, or the type. */
function sourceOf(table: Table, column: Column, types: Types): Source | null {
  const key = table.foreignKeys.find(({ columns }) => columns.includes(column.name));
  if (key === undefined) {
    const values = [0, 1, 2].map((n) => valueFor(types, column.type, column.modifier, n));
    return async () => values.filter((value) => value !== null);
  }
  const [target, ...more] = key.targetColumns;
  if (target === undefined || more.length > 0 || key.target === table.oid) return null;
  return async (client) => {
    const { rows } = await client.query<{ value: string }>(
      `select format('(select %I from %s order by 1 limit 1 offset ', $2::text, $1::oid::regclass) as value`,
      [key.target, target],
    );
    return [0, 1, 2].map((n) => `${rows[0]?.value}${n})`);
  };
}

function updateSql(table: Table, column: Column, values: readonly string[]): string {
  const cases = values.map((value, n) => `when ${n} then ${value}`).join(' ');
  return `update ${table.name} t set ${quoteIdentifier(column.name)} = picked.value
    from (select ctid as id, tableoid as part, case (row_number() over (order by ctid) - 1) % ${values.length} ${cases} end as value
            from ${table.name} where ${quoteIdentifier(column.name)} is null) picked
   where t.ctid = picked.id and t.tableoid = picked.part`;
}

async function attempt(client: Connection, sql: string): Promise<void> {
  await client.query('savepoint attempt');
  try {
    await client.query(sql);
    await client.query('release savepoint attempt');
  } catch (error) {
    refusalOf(error);
    await client.query('rollback to savepoint attempt; release savepoint attempt');
  }
}
