/** Reads single rows by their keys, for whatever is wanted of them. */
import { quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import { type SideName, valueText } from './digest.ts';
import { unchanged, type Watched } from './identity.ts';
import type { Prepared } from './prepare.ts';

type Key = readonly string[];

/** A key as one text, for maps. */
export const keyId = (key: Key): string => JSON.stringify(key);

/**
 * @param selected SQL over the table's columns, for each row that is found
 * @returns by `keyId`; rows that are not there, or for which `where` is not true, are left out
 * @throws AppError `TABLE_CHANGED`
 */
export async function readByKeys<Value>(
  session: Session,
  prepared: Prepared,
  side: SideName,
  watched: Watched,
  keys: readonly Key[],
  selected: string,
): Promise<Map<string, Value>> {
  const { table, where } = prepared[side];
  const lists = prepared.key.map((_, n) => keys.map((key) => key[n]));
  // Names that no column has: inside, an unqualified name is the table's.
  const names = prepared.key.map((_, n) => `" key ${n}"`);
  const condition = prepared.key.map((pair, n) => {
    const { column, sql } = pair[side];
    const type = table.columns.find(({ name }) => name === column)?.plainType ?? 'pg_catalog.text';
    return `${table.sql}.${column === null ? sql : quoteIdentifier(column)} = " asked".${names[n]}::${type}`;
  });
  const texts = prepared.key.map((pair) => valueText(pair, side)).join(', ');
  const { rows } = await unchanged(session, watched, () =>
    session.query<{ key: string[]; value: Value }>(
      `select found.key, found.value
         from unnest(${lists.map((_, n) => `$${n + 1}::pg_catalog.text[]`).join(', ')}) " asked"(${names.join(', ')})
        cross join lateral (select array[${texts}] as key, ${selected} as value from ${table.sql}
                             where ${condition.join(' and ')} and ${where}) found`,
      lists,
    ),
  );
  return new Map(rows.map(({ key, value }) => [keyId(key), value]));
}
