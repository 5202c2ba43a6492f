/** The application's database, as the demo sets it up and looks at it. */
import { programDirectories } from '../../src/config.ts';
import { findPrograms, runProgram } from '../../src/db/programs.ts';
import { quoteIdentifier, quoteLiteral } from '../../src/db/quote.ts';
import { type Session, withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { AppError } from '../../src/errors.ts';

/** Works with a database in a session of its own. */
export const inDatabase = <T>(url: string, work: (session: Session) => Promise<T>): Promise<T> =>
  withSession(parseTarget(url), { applicationName: 'switchback demo' }, work);

/** The application's tables with what can be told of their rows, in whatever order their columns are. */
async function readTables(session: Session): Promise<{ name: string; rows: number; hash: string | null }[]> {
  const { rows: tables } = await session.query<{ name: string }>(
    `select relname as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_prisma_migrations'`,
  );
  const counts = tables.map(
    ({ name }) =>
      `select ${quoteLiteral(name)} as name, count(*)::int as rows, md5(string_agg(to_jsonb(t)::text, ',' order by to_jsonb(t)::text)) as hash
         from public.${quoteIdentifier(name)} as t`,
  );
  const { rows } = await session.query<{ name: string; rows: number; hash: string | null }>(
    `${counts.join(' union all ')} order by name`,
  );
  return rows;
}

/** How many rows the application's tables hold. */
export const countRows = (url: string): Promise<number> =>
  inDatabase(url, async (session) => (await readTables(session)).reduce((sum, { rows }) => sum + rows, 0));

/** The content of the application's tables, to compare. */
export const readContents = async (url: string): Promise<string> =>
  JSON.stringify(await inDatabase(url, readTables));

/** All that can be seen of a database: its schema as pg_dump writes it, and of each table the number and hash of its rows. */
export const takePicture = async (url: string): Promise<string> =>
  (await dumpSchema(url)) + (await readContents(url));

async function dumpSchema(url: string): Promise<string> {
  const programs = await findPrograms(
    { directory: process.env.PG_BIN_DIR, searchPath: programDirectories() },
    15,
  );
  const chunks: Buffer[] = [];
  const dump = runProgram(programs, 'pg_dump', {
    arguments: ['--schema-only'],
    environment: parseTarget(url).libpqEnvironment,
    signal: AbortSignal.timeout(60_000),
    failure: ({ stderr }) => new AppError('BACKUP_FAILED', `pg_dump failed: ${stderr}`),
  });
  for await (const chunk of dump) chunks.push(chunk);
  // The key after \restrict is another one each time.
  return Buffer.concat(chunks)
    .toString('utf8')
    .replaceAll(/^\\(un)?restrict .*$/gm, '');
}
