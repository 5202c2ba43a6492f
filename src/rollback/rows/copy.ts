/** Copies rows of a live database, which is only read, into a scratch database that has its schema. */

import { quoteIdentifier } from '../../db/quote.ts';
import { type Session, withSession } from '../../db/session.ts';
import type { Target } from '../../db/target.ts';
import { isUserTriggerSql } from '../../db/user-triggers.ts';
import type { Scratch } from '../../schema/scratch.ts';
import { type LiveSequence, type LiveTable, readLiveSequences, readLiveTables } from './live.ts';
import { type Batch, readAll, readSample } from './read.ts';

export interface CopyRowsOptions {
  readonly source: Target;
  readonly scratch: Scratch;
  /** How many rows of each table, and all that these point to; null for all there are. */
  readonly rowsPerTable: number | null;
  readonly applicationName: string;
  readonly signal: AbortSignal;
}

/**
 * @returns what was left out, in words
 * @throws AppError `PERMISSION_DENIED` where row security or a missing right hides rows; the signal's reason
 */
export function copyRows(options: CopyRowsOptions): Promise<string[]> {
  const { source, scratch, applicationName, signal, rowsPerTable } = options;
  const sessions = { applicationName, doing: 'copying rows' };
  return withSession(source, sessions, async (live) => {
    // Rows that a policy would hide are an error: nobody would know that they are missing.
    await live.query(
      "begin isolation level repeatable read read only; set local search_path = ''; set local row_security = off",
    );
    const all = await readLiveTables(live);
    const session = await scratch.open({ doing: 'copying rows' });
    try {
      const { there, missing } = await parted(session, all);
      await prepared(session, async () => {
        const batches = rowsPerTable === null ? readAll(live, there) : readSample(live, there, rowsPerTable);
        for await (const batch of batches) {
          signal.throwIfAborted();
          await insert(session, batch);
        }
        for (const sequence of await readLiveSequences(live)) await place(session, sequence);
      });
      return [
        ...(rowsPerTable === null
          ? []
          : [`of each table all rows but ${rowsPerTable}, and what these point to`]),
        ...missing.map(({ sql }) => `rows of ${sql}: the table could not be made in the scratch database`),
      ];
    } finally {
      await session.close();
    }
  });
}

/** A table of which the scratch database lacks something, an extension for example, is not in it. */
async function parted(
  session: Session,
  tables: readonly LiveTable[],
): Promise<{ there: LiveTable[]; missing: LiveTable[] }> {
  const { rows } = await session.query<{ sql: string }>(
    'select sql from pg_catalog.unnest($1::text[]) sql where pg_catalog.to_regclass(sql) is not null',
    [tables.map(({ sql }) => sql)],
  );
  const known = new Set(rows.map(({ sql }) => sql));
  return {
    there: tables.filter(({ sql }) => known.has(sql)),
    missing: tables.filter(({ sql }) => !known.has(sql)),
  };
}

/** Triggers of users are silent meanwhile, and foreign keys are looked at when all rows are there. */
async function prepared(session: Session, work: () => Promise<void>): Promise<void> {
  await session.query("begin; set local search_path = ''");
  const { rows } = await session.query<{ before: string; after: string }>(preparationsSql);
  const run = async (statements: readonly string[]): Promise<void> => {
    if (statements.length > 0) await session.query(statements.join(';'));
  };
  await run(rows.map(({ before }) => before));
  await session.query('set constraints all deferred');
  await work();
  await session.query('set constraints all immediate');
  await run(rows.map(({ after }) => after));
  await session.query('commit');
}

const userRelation = `c.relnamespace not in ('pg_catalog'::pg_catalog.regnamespace, 'information_schema'::pg_catalog.regnamespace)`;

const preparationsSql = `
  select pg_catalog.format('alter table %s alter constraint %I deferrable', k.conrelid::pg_catalog.regclass, k.conname) as before,
         pg_catalog.format('alter table %s alter constraint %I not deferrable', k.conrelid::pg_catalog.regclass, k.conname) as after
    from pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid = k.conrelid
   where k.contype = 'f' and not k.condeferrable and k.conparentid = 0 and ${userRelation}
  union all
  select pg_catalog.format('alter table only %s disable trigger %I', g.tgrelid::pg_catalog.regclass, g.tgname),
         pg_catalog.format('alter table only %s enable %s trigger %I', g.tgrelid::pg_catalog.regclass,
                           case g.tgenabled when 'R' then 'replica' when 'A' then 'always' else '' end, g.tgname)
    from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
   where ${isUserTriggerSql('g')} and g.tgenabled <> 'D' and c.relkind in ('r', 'p') and ${userRelation}`;

async function insert(session: Session, { table, rows }: Batch): Promise<void> {
  if (rows.length === 0) return;
  const { columns } = table;
  if (columns.length === 0) {
    for (const _ of rows) await session.query(`insert into ${table.sql} default values`);
    return;
  }
  await session.query(
    `insert into ${table.sql} (${columns.map(({ name }) => quoteIdentifier(name)).join()}) overriding system value
     select ${columns.map(({ type }, n) => `(r.v->>${n})::${type}`).join()} from pg_catalog.jsonb_array_elements($1::jsonb) r(v)`,
    [JSON.stringify(rows)],
  );
}

const place = async (session: Session, { sql, value, isCalled }: LiveSequence): Promise<void> => {
  await session.query(
    'select pg_catalog.setval(to_regclass, $2::bigint, $3) from pg_catalog.to_regclass($1) where to_regclass is not null',
    [sql, value, isCalled],
  );
};
