import { quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';

/**
 * What a migration may have set and what would change how our SQL is read, or values are written: all of it is ours
 * while we work. Values as text have one form, whatever the session's.
 */
const ours: Readonly<Record<string, string>> = {
  search_path: 'pg_catalog, pg_temp',
  row_security: 'off',
  standard_conforming_strings: 'on',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmlbinary: 'base64',
  xmloption: 'content',
  default_tablespace: '',
  default_table_access_method: 'heap',
  transform_null_equals: 'off',
  array_nulls: 'on',
  check_function_bodies: 'on',
};

/** Settings under which a function of ours makes text of values, as it stands in CREATE FUNCTION. */
export const textSettings = [
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'extra_float_digits',
  'bytea_output',
  'lc_monetary',
  'xmlbinary',
]
  .map((name) => `set ${name} = ${quoteLiteral(ours[name] ?? '')}`)
  .join(' ');

/** From PostgreSQL 17 on, a superuser can do without them: what they make of tables of ours is not their business. */
const eventTriggers = 'event_triggers';
const names = [...Object.keys(ours), eventTriggers, 'session_authorization', 'role'];

const readSql = `select n.name, pg_catalog.current_setting(n.name, true) as value
   from pg_catalog.unnest(array[${names.map(quoteLiteral).join()}]::pg_catalog.text[]) as n(name)`;

const setSql = [
  'set local session authorization default',
  'set local role none',
  ...Object.entries(ours).map(
    ([name, value]) => `set local ${name} = ${name === 'search_path' ? value : quoteLiteral(value)}`,
  ),
  `select case when current_setting('${eventTriggers}', true) = 'on' and current_setting('is_superuser') = 'on' then set_config('${eventTriggers}', 'off', true) end`,
].join('; ');

/**
 * Works inside the session's open transaction as the connection's own role, with our own settings, and gives the
 * migration its own back. An error leaves the settings to whoever rolls back.
 */
export async function asVault<T>(session: Session, work: () => Promise<T>): Promise<T> {
  const { rows } = await session.query<{ name: string; value: string | null }>(readSql);
  await session.query(setSql);
  const result = await explaining(work);
  const restore = rows.map(({ name, value }) => {
    const set = `pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value ?? '')}, true)`;
    // Who may not set it is refused even what it is already.
    return name === eventTriggers
      ? `case when pg_catalog.current_setting('${name}', true) <> ${quoteLiteral(value ?? '')} then ${set} end`
      : set;
  });
  // One after the other: a SELECT list is evaluated in its order, and the role is the last.
  await session.query(`select ${restore.join()}`);
  return result;
}

/** Code of the database's own runs in what we do: mostly that of event triggers, under our settings. */
async function explaining<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError) || error.details.hint !== undefined) throw error;
    const { where } = error.details;
    const [, name] =
      typeof where === 'string'
        ? (/^(?:PL\/\w+|SQL) function (?!switchback)(.+?) (?:line|statement)/m.exec(where) ?? [])
        : [];
    if (name === undefined) throw error;
    throw new AppError(
      error.code,
      error.message,
      {
        ...error.details,
        hint: `It failed in ${name}, which runs while the vault makes or drops its own tables and triggers: an event trigger runs it, most likely. Give that function a search_path of its own (ALTER FUNCTION ${name} SET search_path = …), or let it pass over the schema switchback_vault.`,
      },
      { cause: error },
    );
  }
}

/** The same for work that only reads, where no transaction is open: a file's own role is in force until its session is reset. */
export async function readAsVault<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.query('begin isolation level read committed read only');
  try {
    return await asVault(session, work);
  } finally {
    if (session.alive) await session.query('rollback');
  }
}

/** Runs the work within a savepoint; if it fails, nothing of it is left and the transaction goes on. */
export async function inSavepoint<T>(
  session: Session,
  work: () => Promise<T>,
  keep: (result: T) => boolean = () => true,
): Promise<T> {
  await session.query('savepoint switchback_vault');
  const back = 'rollback to savepoint switchback_vault; release savepoint switchback_vault';
  try {
    const result = await work();
    await session.query(keep(result) ? 'release savepoint switchback_vault' : back);
    return result;
  } catch (error) {
    if (session.alive) await session.query(back);
    throw error;
  }
}
