/** How PostgreSQL prints what it is asked for depends on settings; whoever compares texts must have them the same. */
import type { Session } from '../db/session.ts';

/** By these, the same is printed the same, and every name with its schema. */
const printing: readonly (readonly [name: string, value: string])[] = [
  ['search_path', ''],
  ['TimeZone', 'UTC'],
  ['DateStyle', 'ISO, YMD'],
  ['IntervalStyle', 'postgres'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
  ['lc_monetary', 'C'],
  ['quote_all_identifiers', 'off'],
  // Compiling a query over catalogues takes longer than the query.
  ['jit', 'off'],
];

/** Works with these settings, then sets back what was before. Also within a transaction. */
export async function withPrinting<T>(session: Session, work: () => Promise<T>): Promise<T> {
  const names = printing.map(([name]) => name);
  const { rows } = await session.query<{ values: string[] }>(
    `select array(select pg_catalog.current_setting(name)
                    from pg_catalog.unnest($1::text[]) with ordinality s(name, n) order by n) as values`,
    [names],
  );
  await set(
    session,
    names,
    printing.map(([, value]) => value),
  );
  const result = await work();
  // Not after an error: an aborted transaction takes it back itself, and else the session is of no further use.
  await set(session, names, rows[0]?.values ?? []);
  return result;
}

const set = async (session: Session, names: readonly string[], values: readonly string[]): Promise<void> => {
  await session.query(
    `select pg_catalog.set_config(name, value, false)
       from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) s(name, value)`,
    [names, values],
  );
};
