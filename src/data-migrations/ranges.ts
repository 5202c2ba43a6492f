/** Cuts the keys of a table into ranges of about as many rows. */
import type { Session } from '../db/session.ts';
import { onlyOf } from '../vault/target.ts';
import type { KeyedSource } from './define-kind.ts';
import { type KeyValues, keyTextsSql, orderSql, type Window, windowSql } from './keys.ts';

/** Read for a sample; what they hold of the key's order is good enough, since ranges are rebalanced. */
const samplePages = 300;

/**
 * Keys that cut the window into so many parts, from a sample of the table's pages; none where it has too few rows.
 * Statistics would be older, and for keys of several columns they know the first one only.
 */
export async function cutKeys(
  session: Session,
  { table, key }: KeyedSource,
  window: Window,
  parts: number,
): Promise<KeyValues[]> {
  if (parts < 2) return [];
  const percent = await samplePercent(session, table.oid);
  const { rows } = await session.query<{ key: string[] }>(
    `select key from (
       select ${keyTextsSql(key, table.sql)} as key, row_number() over (order by ${orderSql(key, table.sql)}) as n, count(*) over () as total
         from ${onlyOf(table)} tablesample system (${percent}) where ${windowSql(key, table.sql, window)}) sampled
      where n < total and total >= 2 * ${parts} and n * ${parts} / total > (n - 1) * ${parts} / total order by n`,
  );
  return rows.map((row) => row.key);
}

async function samplePercent(session: Session, oid: number): Promise<number> {
  const { rows } = await session.query<{ pages: number }>(
    `select (coalesce(nullif((select sum(pg_catalog.pg_relation_size(relid)) from pg_catalog.pg_partition_tree($1::oid::regclass)), 0), pg_catalog.pg_relation_size($1::oid))
        / pg_catalog.current_setting('block_size')::bigint)::float8 as pages`,
    [oid],
  );
  return Math.min(100, (100 * samplePages) / Math.max(1, rows[0]?.pages ?? 0));
}

/** Rows of the window, as the planner guesses. */
export async function estimateRows(session: Session, source: KeyedSource, window: Window): Promise<number> {
  const { table, key } = source;
  const { rows } = await session.query<{ 'QUERY PLAN': readonly { Plan: { 'Plan Rows': number } }[] }>(
    `explain (format json) select from ${onlyOf(table)} where ${windowSql(key, table.sql, window)}`,
  );
  return rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0;
}
