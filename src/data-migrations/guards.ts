/**
 * Triggers on the table whose rows are gone through. A key may not change meanwhile, or a row would be met twice or
 * never. Rows that are inserted meanwhile are noted in a table of their own, with nothing but their key: they are the
 * application's, and no batch touches them.
 *
 * The triggers are made under a lock that waits for every writer: what is committed before is there at the start, what is
 * inserted after is noted. Keys above the last one of that moment are beyond every batch and need no note; where keys
 * grow, that is all but a few. Where a trigger is to change them as well, it is made with these.
 */
import { qualify, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { Table } from '../vault/table.ts';
import { onlyOf } from '../vault/target.ts';
import type { LaterChange } from './define-kind.ts';
import {
  type Key,
  type KeyValues,
  keyColumnsSql,
  keyTextsSql,
  orderSql,
  sameKeySql,
  upToSql,
} from './keys.ts';
import { dropLaterTriggerSql, laterTriggerSql } from './later.ts';
import { inTransaction } from './place.ts';
import { ensureDataMigrations, hasDataMigrations } from './schema.ts';

const keyTrigger = 'switchback_key';
const laterTrigger = 'switchback_later';

const nameFor = (what: string, id: string): string =>
  qualify('switchback', `${what}_${id.replaceAll('-', '')}`);

export interface Guarded {
  readonly id: string;
  /** Of the data migration, for whoever meets the trigger. */
  readonly name: string;
  readonly table: Table;
  readonly key: Key;
  /** Changes rows that are inserted meanwhile; null where they are the application's. */
  readonly later: LaterChange | null;
}

/** On the table: the row was there when the data migration began. Costs next to nothing while no row was noted. */
export function wasThereSql({ id, table, key }: Pick<Guarded, 'id' | 'table' | 'key'>): string {
  const later = nameFor('later', id);
  const same = sameKeySql(key, '" later"', table.sql);
  return `(not exists (select from ${later}) or not exists (select from ${later} as " later" where ${same}))`;
}

/**
 * Makes the triggers, unless they are there already.
 * @returns the last key; null where the table is empty, which then has no triggers
 * @throws AppError `TABLE_BUSY`, `LOCK_TIMEOUT`, `PERMISSION_DENIED`
 */
export async function guard(session: Session, guarded: Guarded): Promise<KeyValues | null> {
  const { id, name, table, key } = guarded;
  return inTransaction(session, async () => {
    await ensureDataMigrations(session);
    await session.query(`lock table ${onlyOf(table)} in share row exclusive mode`);
    const { rows } = await session.query<{ migration: string; name: string; through: string[] }>(
      'select migration, name, through from switchback.data_guard where relation = $1',
      [table.oid],
    );
    const [there] = rows;
    if (there?.migration === id) return there.through;
    if (there !== undefined) throw busy(table, there);
    const last = await lastKey(session, table, key);
    if (last === null) return null;
    await session.query(
      'insert into switchback.data_guard (relation, migration, name, through) values ($1, $2, $3, $4)',
      [table.oid, id, name, last],
    );
    await session.query(triggersSql(guarded, last));
    if (guarded.later !== null)
      await session.query(
        laterTriggerSql({
          ...{ id, key, tableSql: table.sql, change: guarded.later },
          ...{ schema: session.target.schema, function: nameFor('change', id) },
        }),
      );
    return last;
  });
}

async function lastKey(session: Session, table: Table, key: Key): Promise<KeyValues | null> {
  const { rows } = await session.query<{ key: string[] }>(
    `select ${keyTextsSql(key, table.sql)} as key from ${onlyOf(table)} order by ${orderSql(key, table.sql, 'desc')} limit 1`,
  );
  return rows[0]?.key ?? null;
}

/** `ENABLE ALWAYS`: rows that a subscription brings are noted, too. */
export function triggersSql({ id, name, table, key }: Omit<Guarded, 'later'>, last: KeyValues): string {
  const later = nameFor('later', id);
  const onKey = nameFor('key', id);
  const onLater = nameFor('note', id);
  const columns = keyColumnsSql(key, table.sql).join(', ');
  const names = key.columns.map((column) => quoteIdentifier(column.name));
  const rowOf = (which: string): string => `row(${names.map((column) => `${which}.${column}`).join(', ')})`;
  const changed = `${rowOf('old')} is distinct from ${rowOf('new')}`;
  return `
    create table ${later} as select ${columns} from ${table.sql} where false;
    alter table ${later} add primary key (${names.join(', ')});
    revoke all on ${later} from public;
    create function ${onKey}() returns trigger language plpgsql set search_path = pg_catalog as $body$
      begin
        raise exception using errcode = '23001',
          message = format('the key (${key.columns
            .map((column) => column.name.replaceAll('%', '%%'))
            .join(', ')
            .replaceAll(
              "'",
              "''",
            )}) of %I.%I may not change while the data migration "%s" goes through it', tg_table_schema, tg_table_name, tg_argv[0]),
          hint = 'Wait for the data migration, or cancel it; a pause is not enough.';
      end $body$;
    create function ${onLater}() returns trigger language plpgsql security definer set search_path = pg_catalog as $body$
      begin
        insert into ${later} values (${names.map((column) => `new.${column}`).join(', ')}) on conflict do nothing;
        return null;
      end $body$;
    revoke all on function ${onKey}(), ${onLater}() from public;
    create trigger ${keyTrigger} after update on ${table.sql} for each row when (${changed}) execute function ${onKey}(${quoteLiteral(name)});
    create trigger ${laterTrigger} after insert on ${table.sql} for each row
      when (${upToSql(key, 'new', last)}) execute function ${onLater}();
    alter table ${table.sql} enable always trigger ${keyTrigger}, enable always trigger ${laterTrigger}`;
}

/** For a dry run, whose transaction is rolled back: what a batch reads, but no trigger, which would lock the table. */
export const laterTableSql = ({ id, table, key }: Pick<Guarded, 'id' | 'table' | 'key'>): string =>
  `create table ${nameFor('later', id)} as select ${keyColumnsSql(key, table.sql).join(', ')} from ${table.sql} where false`;

/** Takes the triggers away, and what belongs to them; no harm where there are none. */
export async function unguard(session: Session, id: string): Promise<void> {
  if (!(await hasDataMigrations(session))) return;
  await inTransaction(session, async () => {
    // By their functions: in a database that was restored from a backup the table has another oid than it was noted with.
    const { rows } = await session.query<{ relation: string }>(
      `select distinct pg_catalog.format('%I.%I', n.nspname, c.relname) as relation
         from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where g.tgparentid = 0 and g.tgfoid in (pg_catalog.to_regproc($1), pg_catalog.to_regproc($2))`,
      [nameFor('key', id), nameFor('note', id)],
    );
    for (const { relation } of rows)
      await session.query(
        `drop trigger if exists ${keyTrigger} on ${relation}; drop trigger if exists ${laterTrigger} on ${relation}; ${dropLaterTriggerSql(relation ?? '')}`,
      );
    await session.query(
      `drop function if exists ${nameFor('key', id)}(), ${nameFor('note', id)}(), ${nameFor('change', id)}(); drop table if exists ${nameFor('later', id)}`,
    );
    await session.query('delete from switchback.data_guard where migration = $1', [id]);
  });
}

export const busy = (table: Table, other: { migration: string; name: string }): AppError =>
  new AppError(
    'TABLE_BUSY',
    `Another data migration, "${other.name}" (${other.migration}), goes through ${table.schema}.${table.name} and has not ended. Nothing was done. Wait for it, or cancel it.`,
    { table: `${table.schema}.${table.name}`, other: other.migration, name: other.name },
  );
