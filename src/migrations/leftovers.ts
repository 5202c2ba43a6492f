import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { concurrentIndex, concurrentlyDropped, waitsForSnapshots } from '../sql/classify.ts';
import { SyntaxFault } from '../sql/parse.ts';
import { type Statement, splitStatements } from '../sql/split.ts';

/**
 * What a statement that runs alone did, told from the catalogue after its process is gone.
 * `unknown`: the catalogue cannot tell, so it is neither repeated nor believed.
 */
export type Settled = 'done' | 'not done' | 'unknown';

/** Indexes as they were before a CONCURRENTLY statement: what is new and invalid afterwards is its leftover. */
export async function indexesBefore(session: Session, text: string): Promise<number[]> {
  const statement = parsed(text);
  if (statement === null || !waitsForSnapshots(statement)) return [];
  const { rows } = await session.query<{ oid: string }>(
    'select indexrelid as oid from pg_catalog.pg_index where indexrelid >= 16384',
  );
  return rows.map((row) => Number(row.oid));
}

/**
 * Drops the invalid indexes that a failed or cancelled CONCURRENTLY statement made; returns their names.
 * Left in place, `IF NOT EXISTS` would take them for the index.
 */
export async function dropLeftovers(
  session: Session,
  text: string,
  before: readonly number[],
): Promise<string[]> {
  const statement = parsed(text);
  if (statement === null || !waitsForSnapshots(statement) || statement.kind === 'DropStmt') return [];
  const { rows } = await session.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name
       from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indexrelid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where not i.indisvalid and i.indexrelid >= 16384 and i.indexrelid <> all ($1::oid[])
        and (c.relname ~ '_ccnew[0-9]*$' or i.indrelid = pg_catalog.to_regclass($2))`,
    [before, builtOn(statement)],
  );
  for (const { schema, name } of rows) {
    await session.query('set lock_timeout = 0');
    await session.query(`drop index concurrently if exists ${qualify(schema, name)}`);
  }
  return rows.map(({ schema, name }) => `${schema}.${name}`);
}

/** The relation on which a statement builds an index, as SQL text. */
function builtOn(statement: Statement): string | null {
  const built = concurrentIndex(statement);
  if (built === null) return null;
  return built.schema === null ? quoteIdentifier(built.table) : qualify(built.schema, built.table);
}

/** Tells what became of a statement whose intent was written and whose outcome was not. */
export async function settle(session: Session, text: string, before: readonly number[]): Promise<Settled> {
  const statement = parsed(text);
  if (statement === null) return 'unknown';
  // These change no data and no definition: doing them twice is doing them once.
  if (
    statement.kind === 'VacuumStmt' ||
    statement.kind === 'ReindexStmt' ||
    statement.kind === 'ClusterStmt' ||
    statement.kind === 'VariableSetStmt'
  )
    return 'not done';
  const dropped = concurrentlyDropped(statement);
  if (dropped !== null) return (await exists(session, dropped)) ? 'not done' : 'done';
  if (concurrentIndex(statement) !== null) return settleIndex(session, statement, before);
  return 'unknown';
}

async function exists(session: Session, index: { schema: string | null; name: string }): Promise<boolean> {
  const name = index.schema === null ? quoteIdentifier(index.name) : qualify(index.schema, index.name);
  const { rows } = await session.query<{ present: boolean }>(
    'select pg_catalog.to_regclass($1) is not null as present',
    [name],
  );
  return rows[0]?.present === true;
}

async function settleIndex(
  session: Session,
  statement: Statement,
  before: readonly number[],
): Promise<Settled> {
  const { rows } = await session.query<{ valid: boolean }>(
    `select i.indisvalid as valid from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
      where i.indrelid = pg_catalog.to_regclass($1) and i.indexrelid <> all ($2::oid[]) and ($3::text is null or c.relname = $3)`,
    [builtOn(statement), before, concurrentIndex(statement)?.index ?? null],
  );
  if (rows.length > 1) return 'unknown';
  return rows[0]?.valid === true ? 'done' : 'not done';
}

/** The text is one that was split before; what does not parse is not ours to judge. */
function parsed(text: string): Statement | null {
  try {
    return splitStatements(text)[0] ?? null;
  } catch (error) {
    if (error instanceof SyntaxFault) return null;
    throw error;
  }
}
