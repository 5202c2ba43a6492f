import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
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
 * Drops the invalid indexes that a failed or cancelled CONCURRENTLY statement made. Left in place, `IF NOT EXISTS`
 * would take them for the index. Returns the names of what it dropped, and of what it could not drop in time.
 */
export async function dropLeftovers(
  session: Session,
  text: string,
  before: readonly number[],
  budgetMs: number,
): Promise<{ dropped: string[]; left: string[] }> {
  const statement = parsed(text);
  if (statement === null || !waitsForSnapshots(statement)) return { dropped: [], left: [] };
  const dropping = concurrentlyDropped(statement);
  // An index that is invalid because dropping it was stopped is not dropped behind the back of whoever stopped it.
  if (dropping !== null) return { dropped: [], left: await invalidOf(session, dropping) };
  const names = await invalidMade(session, statement, before);
  const left: string[] = [];
  await session.query(`set lock_timeout = 0; set statement_timeout = ${Math.max(1_000, budgetMs)}`);
  try {
    for (const index of names) if (!(await dropIndex(session, index))) left.push(index);
  } finally {
    await session.query('reset lock_timeout; reset statement_timeout');
  }
  return { dropped: names.filter((index) => !left.includes(index)), left };
}

async function invalidOf(
  session: Session,
  index: { schema: string | null; name: string },
): Promise<string[]> {
  const { rows } = await session.query<{ index: string }>(
    'select $1::text as index from pg_catalog.pg_index where indexrelid = pg_catalog.to_regclass($1) and not indisvalid',
    [qualified(index)],
  );
  return rows.map((row) => row.index);
}

/** New invalid indexes of the statement's own table: others build indexes, too. */
async function invalidMade(
  session: Session,
  statement: Statement,
  before: readonly number[],
): Promise<string[]> {
  const { rows } = await session.query<{ index: string }>(
    `select pg_catalog.format('%I.%I', n.nspname, c.relname) as index
       from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indexrelid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where not i.indisvalid and i.indexrelid >= 16384 and i.indexrelid <> all ($1::oid[])
        and case when $3 then c.relname ~ '_cc(new|old)[0-9]*$' else $4::text is null or c.relname = $4 end
        and ($2::text is null or i.indrelid = pg_catalog.to_regclass($2)
             or i.indrelid = (select indrelid from pg_catalog.pg_index where indexrelid = pg_catalog.to_regclass($2)))`,
    [
      before,
      relationOf(statement),
      statement.kind === 'ReindexStmt',
      concurrentIndex(statement)?.index ?? null,
    ],
  );
  return rows.map(({ index }) => index);
}

/** The relation on which a statement builds, as SQL text; null where it is a whole schema or database. */
function relationOf({ node }: Statement): string | null {
  const relation = (node.relation ?? {}) as { relname?: string; schemaname?: string };
  return relation.relname === undefined
    ? null
    : qualified({ schema: relation.schemaname ?? null, name: relation.relname });
}

const qualified = ({ schema, name }: { schema: string | null; name: string }): string =>
  schema === null ? quoteIdentifier(name) : qualify(schema, name);

/** Returns whether the index is gone. What stands in the way must not hide why the statement failed. */
async function dropIndex(session: Session, index: string): Promise<boolean> {
  try {
    await session.query(`drop index concurrently if exists ${index}`);
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code !== 'DATABASE_UNREACHABLE') return false;
    throw error;
  }
}

/** Doing these twice is doing them once. */
const repeatable = new Set([
  'VacuumStmt',
  'ReindexStmt',
  'ClusterStmt',
  'VariableSetStmt',
  'AlterSystemStmt',
]);

const databaseExists = 'select exists (select from pg_catalog.pg_database where datname = $1) as present';
const tablespaceExists = 'select exists (select from pg_catalog.pg_tablespace where spcname = $1) as present';

/** An object of the cluster that the statement creates or drops whole. */
function namedObject({
  kind,
  node,
}: Statement): { name: string; created: boolean; existsSql: string } | null {
  const name = String(node.dbname ?? node.tablespacename);
  switch (kind) {
    case 'CreatedbStmt':
      return { name, created: true, existsSql: databaseExists };
    case 'DropdbStmt':
      return { name, created: false, existsSql: databaseExists };
    case 'CreateTableSpaceStmt':
      return { name, created: true, existsSql: tablespaceExists };
    case 'DropTableSpaceStmt':
      return { name, created: false, existsSql: tablespaceExists };
    default:
      return null;
  }
}

/** Tells what became of a statement whose intent was written and whose outcome was not. */
export async function settle(session: Session, text: string, before: readonly number[]): Promise<Settled> {
  const statement = parsed(text);
  if (statement === null) return 'unknown';
  if (repeatable.has(statement.kind)) return 'not done';
  const named = namedObject(statement);
  if (named !== null) {
    const { rows } = await session.query<{ present: boolean }>(named.existsSql, [named.name]);
    return (rows[0]?.present === true) === named.created ? 'done' : 'not done';
  }
  const dropped = concurrentlyDropped(statement);
  if (dropped !== null) return (await exists(session, dropped)) ? 'not done' : 'done';
  if (concurrentIndex(statement) !== null) return settleIndex(session, statement, before);
  return 'unknown';
}

async function exists(session: Session, index: { schema: string | null; name: string }): Promise<boolean> {
  const { rows } = await session.query<{ present: boolean }>(
    'select pg_catalog.to_regclass($1) is not null as present',
    [qualified(index)],
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
    [relationOf(statement), before, concurrentIndex(statement)?.index ?? null],
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
