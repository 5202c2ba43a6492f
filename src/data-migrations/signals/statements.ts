/** Reads pg_stat_statements: what the application ran, without what Switchback runs. */
import { quoteIdentifier } from '../../db/quote.ts';
import { NotWatched, type SignalPlace } from '../define-signal.ts';

/** Counters since the statistics were reset. */
export interface Statements {
  /** By statement and role. */
  readonly application: ReadonlyMap<string, { readonly calls: number; readonly totalMs: number }>;
  /** Statements of other roles of which the role may see nothing. */
  readonly hidden: number;
}

interface Row {
  readonly id: string | null;
  readonly calls: number;
  readonly total_ms: number;
}

/**
 * @returns a function that reads the counters. Statements of ours are known by the word `switchback` in their text
 *   (a comment in it is enough), and by their sessions while they run; a text is read once, since PostgreSQL keeps texts
 *   in a file.
 * @throws NotWatched without the extension
 */
export async function openStatements({
  query,
}: SignalPlace): Promise<(place: SignalPlace) => Promise<Statements>> {
  const { rows } = await query<{ schema: string }>(
    "select nspname as schema from pg_extension join pg_namespace n on n.oid = extnamespace where extname = 'pg_stat_statements'",
  );
  const schema = rows[0]?.schema;
  if (schema === undefined)
    throw new NotWatched('the extension pg_stat_statements is not installed in this database');
  const view = `${quoteIdentifier(schema)}.pg_stat_statements`;
  const known = new Set<string>();
  const ours = new Set<string>();
  return async (place) => {
    for (const id of await running(place)) ours.add(id);
    const counters = await read(place, view);
    const ids = counters.flatMap(({ id }) => id ?? []);
    if (ids.some((id) => !known.has(id))) for (const id of await written(place, view)) ours.add(id);
    for (const id of ids) known.add(id);
    const theirs = counters.filter(({ id }) => id !== null && !ours.has(id));
    return {
      application: new Map(theirs.map(({ id, calls, total_ms: totalMs }) => [id ?? '', { calls, totalMs }])),
      hidden: counters.length - ids.length,
    };
  };
}

const thisDatabase = 'dbid = (select oid from pg_database where datname = current_database())';

/** `toplevel`: what a function runs is counted with the statement that calls it. */
async function read({ query }: SignalPlace, view: string): Promise<Row[]> {
  const { rows } = await query<Row>(
    `select queryid || ':' || userid as id, calls::float8, total_exec_time::float8 as total_ms
       from ${view}(false) where toplevel and ${thisDatabase}`,
  );
  return rows;
}

async function written({ query }: SignalPlace, view: string): Promise<string[]> {
  const { rows } = await query<{ id: string }>(
    `select queryid || ':' || userid as id from ${view}(true)
      where ${thisDatabase} and queryid is not null and query ~* 'switchback'`,
  );
  return rows.map(({ id }) => id);
}

/** A long COPY may have no word of ours in its text. */
async function running({ query, applicationName }: SignalPlace): Promise<string[]> {
  const { rows } = await query<{ id: string }>(
    `select query_id || ':' || usesysid as id from pg_stat_activity
      where query_id is not null and datname = current_database()
        and (application_name = $1 or starts_with(application_name, $1 || ':'))`,
    [applicationName],
  );
  return rows.map(({ id }) => id);
}
