/** Which tables a transaction has written: PostgreSQL counts that while it runs, whoever's code it is. */

import type { Session } from '../db/session.ts';
import { isUserTriggerSql } from '../db/user-triggers.ts';
import type { WrittenName } from './removals.ts';
import { vaultSchema } from './schema.ts';

export interface TableWrites {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Rows inserted, updated and deleted; those that were rolled back to a savepoint too. Less than before after a TRUNCATE. */
  readonly count: number;
  /** Its number changes when the table is emptied or written anew. */
  readonly file: number;
  /** Of a partition: the partitioned tables above it. */
  readonly above: readonly number[];
}

export interface Writes {
  /** Off where `track_counts` is: then nothing is known. */
  readonly counted: boolean;
  readonly tables: ReadonlyMap<number, TableWrites>;
}

/** Where PostgreSQL keeps large objects, which nothing of ours can keep. */
export const largeObjects = 'pg_largeobject';

/** Of the current transaction so far, for all tables that last; large objects among them. With any settings. */
export async function readWrites(session: Session): Promise<Writes> {
  const { rows } = await session.query<TableWrites & { counted: boolean }>(`
    select c.oid, n.nspname as schema, c.relname as name, c.relfilenode::pg_catalog.int8::pg_catalog.float8 as file,
      (pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) operator(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)
        operator(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid))::pg_catalog.float8 as count,
      array(select a.relid::pg_catalog.oid::pg_catalog.int8::pg_catalog.float8 from pg_catalog.pg_partition_ancestors(c.oid) a
             where c.relispartition and a.relid operator(pg_catalog.<>) c.oid) as above,
      pg_catalog.current_setting('track_counts') operator(pg_catalog.=) 'on' as counted
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
    where c.relkind operator(pg_catalog.=) 'r' and c.relpersistence operator(pg_catalog.<>) 't'
      and (n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'switchback', '${vaultSchema}')
        or (n.nspname operator(pg_catalog.=) 'pg_catalog' and c.relname operator(pg_catalog.=) '${largeObjects}'))`);
  return {
    // Without any table nothing is known either, and there is nothing to know.
    counted: rows[0]?.counted !== false,
    tables: new Map(rows.map((row) => [row.oid, row])),
  };
}

/** Tables of these names, in any schema where none is given, and all child tables of theirs. */
export async function trees(session: Session, names: readonly WrittenName[]): Promise<number[]> {
  const { rows } = await session.query<{ oid: number }>(
    `with recursive tree(oid) as (
       select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
         join pg_catalog.json_to_recordset($1) w(schema pg_catalog.text, name pg_catalog.text)
           on w.name operator(pg_catalog.=) c.relname::pg_catalog.text and coalesce(w.schema, n.nspname::pg_catalog.text) operator(pg_catalog.=) n.nspname::pg_catalog.text
       union select h.inhrelid from tree t join pg_catalog.pg_inherits h on h.inhparent operator(pg_catalog.=) t.oid)
     select oid from tree`,
    [JSON.stringify(names)],
  );
  return rows.map(({ oid }) => oid);
}

/**
 * Columns of the tables of these names in which each row's value stands for itself, so that it does not matter in which
 * order rows get their old values: nothing unique is made of them, and no trigger or rule follows.
 */
export async function freeColumns(session: Session, names: readonly string[]): Promise<Set<string>> {
  const { rows } = await session.query<{ name: string; column: string }>(
    `select c.relname as name, a.attname as column from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid
      where c.relname::pg_catalog.text = any($1::pg_catalog.text[]) and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
        and not (c.relhasrules or c.relhassubclass or c.relispartition)
        and not exists (select from pg_catalog.pg_class o where o.relname = c.relname and o.oid <> c.oid)
        and not exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and ${isUserTriggerSql('t')} and t.tgenabled <> 'D')
        and not exists (select from pg_catalog.pg_attribute g where g.attrelid = c.oid and g.attgenerated <> '')
        and not exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)
          and (i.indpred is not null or a.attnum = any(i.indkey) or 0 = any(i.indkey)))`,
    [names],
  );
  return new Set(rows.map(({ name, column }) => JSON.stringify([name, column])));
}

export async function hasEventTriggers(session: Session): Promise<boolean> {
  const { rows } = await session.query(
    "select 1 from pg_catalog.pg_event_trigger where evtenabled operator(pg_catalog.<>) 'D' limit 1",
  );
  return rows.length > 0;
}

/** Tables that have deferred triggers of their own among these: what those do comes at the end of the transaction. */
export async function deferring(session: Session, oids: readonly number[]): Promise<number[]> {
  const { rows } = await session.query<{ oid: number }>(
    `select distinct t.tgrelid as oid from pg_catalog.pg_trigger t
      where t.tgrelid = any($1::pg_catalog.oid[]) and t.tgdeferrable and ${isUserTriggerSql('t')} and t.tgenabled <> 'D'`,
    [oids],
  );
  return rows.map(({ oid }) => oid);
}
