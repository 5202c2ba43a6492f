import type { Session } from '../db/session.ts';
import { originIn } from './origins.ts';
import type { VaultContext } from './removals.ts';
import { copyTable, readFacts } from './save-table.ts';
import { readTables, type Table } from './table.ts';

/** Copies tables before all their rows go. They are locked first: what is copied is what goes. */
export async function saveRows(
  session: Session,
  oids: readonly number[],
  context: VaultContext,
): Promise<string[]> {
  const tables = (await readTables(session, oids)).filter(
    (table) => holdsRows(table) && !originIn(context, table).made,
  );
  for (const { sql } of tables) await session.query(`lock table ${sql} in access exclusive mode`);
  const entries: string[] = [];
  for (const table of tables)
    entries.push(await copyTable(session, table, 'rows', await readFacts(session, table), context));
  return entries;
}

const holdsRows = ({ kind, temporary }: Table): boolean => (kind === 'r' || kind === 'p') && !temporary;

/**
 * What a TRUNCATE of these empties: partitions are copied with the table at the top, child tables one by one. CASCADE does
 * not reach the child tables of the tables that it reaches. With `only`, of no table the child tables.
 */
export async function truncated(
  session: Session,
  oids: readonly number[],
  cascade: boolean,
  only: readonly number[] = [],
): Promise<number[]> {
  const { rows } = await session.query<{ oid: number }>(
    `with recursive named(oid) as (
       select unnest($1::oid[])
       union
       select h.inhrelid from named n join pg_inherits h on h.inhparent = n.oid where n.oid <> all($3::oid[])),
     emptied(oid) as (
       select oid from named
       union
       select k.conrelid from emptied e join pg_constraint k on k.confrelid = e.oid where $2 and k.contype = 'f')
     select c.oid from emptied e join pg_class c on c.oid = e.oid
      where not (c.relispartition and exists (select from pg_partition_ancestors(c.oid) a where a.relid <> c.oid and a.relid in (select oid from emptied)))
      order by c.oid`,
    [oids, cascade, only],
  );
  return rows.map(({ oid }) => oid);
}
