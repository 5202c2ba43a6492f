/** What is in the tables, and whether it is there again. */
import type { Session } from '../db/session.ts';
import type { TableContent, TableName } from '../schema/content.ts';
import { userTables } from './rows/catalogue.ts';

export type Contents = ReadonlyMap<string, TableContent>;

/** Tables of these oids that hold rows themselves: partitions in the place of partitioned tables. */
export async function holdingTables(session: Session, oids: ReadonlySet<number>): Promise<TableName[]> {
  const { rows } = await session.query<TableName>(
    `with recursive tree(oid) as (
       select pg_catalog.unnest($1::pg_catalog.oid[])
       union select h.inhrelid from tree t join pg_catalog.pg_inherits h on h.inhparent = t.oid)
     select n.nspname as schema, c.relname as name
       from tree join pg_catalog.pg_class c on c.oid = tree.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r'`,
    [[...oids]],
  );
  return rows;
}

/** All of users that hold rows themselves, but for Prisma's history. */
export async function allTables(session: Session): Promise<TableName[]> {
  const { rows } = await session.query<{ oid: number }>(
    `select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where ${userTables} and c.relname <> '_prisma_migrations'`,
  );
  return holdingTables(session, new Set(rows.map(({ oid }) => oid)));
}

/** What is not as it was, in words. */
export function compareContents(before: Contents, after: Contents): string[] {
  return compareCounts(before, after).concat(
    [...before].flatMap(([table, was]) => {
      const is = after.get(table);
      return is?.rows !== was.rows || is.checksum === was.checksum
        ? []
        : [`table ${table}: its ${is.rows} rows have other values than before`];
    }),
  );
}

/** Tables that have another number of rows, in words. */
export function compareCounts(before: Contents, after: Contents): string[] {
  return [...before].flatMap(([table, { rows }]) => {
    const count = after.get(table)?.rows ?? 0;
    return count === rows ? [] : [`table ${table}: ${count} rows in the place of ${rows}`];
  });
}

export const rowsIn = (contents: Contents): number =>
  [...contents.values()].reduce((sum, { rows }) => sum + rows, 0);
