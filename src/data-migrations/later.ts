/**
 * Rows that are inserted while a data migration runs, changed by a trigger where that is asked for. It is made in the same
 * transaction as the triggers that guard the table, so that a row is either there at the start or later.
 */
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { LaterChange } from './define-kind.ts';
import { type Key, keyTextsSql } from './keys.ts';

/** PostgreSQL fires triggers in the order of their names: after those of the application, whose values it sees. */
const trigger = '~switchback_change';

export interface LaterTrigger {
  /** Of the data migration. */
  readonly id: string;
  readonly tableSql: string;
  readonly key: Key;
  readonly change: LaterChange;
  /** In which expressions look up names, as batches do. */
  readonly schema: string;
  /** For SQL: the name of the function. */
  readonly function: string;
}

/**
 * What cannot be done for a row is no reason to refuse it to the application: it stays as it was written, and goes to the
 * quarantine. Conflicts with others, and what the server lacks, are the application's to try again.
 */
export function laterTriggerSql({ id, tableSql, key, change, schema, function: name }: LaterTrigger): string {
  const error = `pg_catalog.jsonb_build_object('code', 'STATEMENT_FAILED', 'title', 'A statement failed',
      'detail', 'PostgreSQL refused a row that was inserted meanwhile: ' || sqlerrm || ' (SQLSTATE ' || sqlstate || ').',
      'details', pg_catalog.jsonb_build_object('sqlstate', sqlstate, 'reason', sqlerrm))`;
  const body = `#variable_conflict use_column
    declare " was" record; " row" record;
    begin
      " was" := new;
      begin
        ${change.body}
      exception when others then
        if sqlstate ~ '^(40|53|55|57|58|XX)' then raise; end if;
        new := " was";
        insert into switchback.data_quarantine (migration, key, error)
        values (${quoteLiteral(id)}, ${keyTextsSql(key, 'new')}, ${error})
        on conflict (migration, key) do update set error = excluded.error, state = 'open';
      end;
      return new;
    end`;
  return `
    create function ${name}() returns trigger language plpgsql security definer
      set search_path = ${quoteIdentifier(schema)} set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC'
      set extra_float_digits = 1 set bytea_output = 'hex'
      as ${quoteLiteral(body)};
    revoke all on function ${name}() from public;
    create trigger ${quoteIdentifier(trigger)} ${change.when} insert on ${tableSql} for each row execute function ${name}();
    alter table ${tableSql} enable always trigger ${quoteIdentifier(trigger)};`;
}

export const dropLaterTriggerSql = (tableSql: string): string =>
  `drop trigger if exists ${quoteIdentifier(trigger)} on ${tableSql}`;
