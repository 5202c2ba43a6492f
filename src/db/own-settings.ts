/** What every session of ours sets for itself. */
import type pg from 'pg';
import { sqlstateOf } from './errors.ts';

export interface Prepared {
  readonly pid: number;
  /** SQL that sets again what a `RESET ALL` takes back of our own settings; empty for none. */
  readonly ownSettings: string;
}

/** What our own queries rely upon, whatever is set on the database or the role. */
const readable: Readonly<Record<string, string>> = {
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  quote_all_identifiers: 'off',
  transform_null_equals: 'off',
  statement_timeout: '0',
};

/**
 * Ends of clients that forget their sessions: ours hold locks while others work. And the transactions of ours see what
 * was committed before each statement, as those of PostgreSQL do by itself. Not every major knows all of these.
 */
const lasting: Readonly<Record<string, string>> = {
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  default_transaction_isolation: 'read committed',
};

/**
 * Sets what is ours. `RESET ALL` gives the database's own settings back, under which the file of a migration runs; but
 * for `ownSettings`, which no statement of it can tell.
 */
export async function prepare(client: pg.Client): Promise<Prepared> {
  const checkInterval = await setCheckInterval(client);
  const set = (name: string, value: string): string =>
    `case when pg_catalog.current_setting('${name}', true) is not null then pg_catalog.set_config('${name}', '${value}', false) end as "${name}"`;
  const sets = Object.entries({ ...readable, ...lasting }).map(([name, value]) => set(name, value));
  const { rows } = await client.query<{ pid: number } & Record<string, string | null>>(
    `select pg_catalog.pg_backend_pid() as pid, ${sets.join()}`,
  );
  const [first] = rows;
  const own = Object.entries(lasting)
    .filter(([name]) => first?.[name] != null)
    .map(([name, value]) => `set ${name} = '${value}'`);
  return {
    pid: first?.pid ?? 0,
    ownSettings: [...(checkInterval === '' ? [] : [checkInterval]), ...own].join('; '),
  };
}

/**
 * `client_connection_check_interval` makes the server notice that we are gone while a statement runs, so that the
 * statement of a killed worker ends. PostgreSQL refuses it (22023) on systems that lack POLLRDHUP.
 */
async function setCheckInterval(client: pg.Client): Promise<string> {
  const sql = "set client_connection_check_interval = '2s'";
  try {
    await client.query(sql);
    return sql;
  } catch (error) {
    if (sqlstateOf(error) !== '22023') throw error;
    return '';
  }
}
