/** What the applied migrations of a database make of an empty one. */
import { createHash } from 'node:crypto';
import { type Config, type DatabaseConfig, programDirectories } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { type Session, withSession } from '../../db/session.ts';
import { parseTarget, type Target } from '../../db/target.ts';
import { AppError } from '../../errors.ts';
import type { HistoryRow } from '../../migrations/history.ts';
import type { Migration } from '../../migrations/read.ts';
import { replay } from '../../rollback/replay.ts';
import { throughCopy } from '../../schema/copy.ts';
import {
  type Fingerprint,
  type FingerprintOptions,
  fingerprintOf,
  readFingerprint,
} from '../../schema/fingerprint.ts';
import { loadParser } from '../../sql/parse.ts';
import { findSources, replayedText, sourceOf } from '../rollbacks/rollback-sources.ts';

export interface ExpectedRequest {
  readonly config: Config;
  readonly control: Control;
  readonly database: DatabaseConfig;
  readonly jobId: string;
  readonly signal: AbortSignal;
  readonly serverVersion: string;
  /** What is applied, the first one first. */
  readonly applied: readonly HistoryRow[];
}

/**
 * The schema that the migrations make, read through a copy as the live one is. They are replayed unless that was done
 * before: a deployment that found no drift has left what its own migrations add.
 * @returns null where it is that of the live database to the letter; a copy of that one shows it
 * @throws AppError `DRIFT_UNKNOWN`; those of `copySchema` and `createScratch`
 */
export async function expectedSchema(request: ExpectedRequest): Promise<Fingerprint | null> {
  const { control, database } = request;
  const known = await control.prisma.expectedSchema.findUnique({
    where: { database_key: { database: database.name, key: keyOf(request) } },
  });
  if (known !== null) return fingerprintOf(known.facts as [string, string][]);
  const fingerprint = await replayed(request, readFingerprint);
  if (fingerprint !== null) await keepExpected(request, fingerprint);
  return fingerprint;
}

/**
 * What the migrations make, as a copy of it is read; null where that is the live schema to the letter, so that a copy of
 * the one is a copy of the other.
 * @throws as `expectedSchema` does
 */
export async function replayed<T>(
  request: ExpectedRequest,
  read: (copied: Session, options: FingerprintOptions) => Promise<T>,
): Promise<T | null> {
  const { control, database, applied, jobId, signal } = request;
  await loadParser();
  const bundle = await findSources(control, database, applied);
  const sources = applied.map((row) => sourceOf(bundle, row));
  const missing = applied.find((_, index) => sources[index] === null);
  if (missing !== undefined)
    throw unknown(`The text of ${missing.name} that was applied is in no bundle`, database);
  const migrations = sources.flatMap((one) => (one === null ? [] : [textToReplay(one, database)]));
  const live = parseTarget(database.url);
  const server: Target =
    database.scratchUrl === undefined ? live : { ...parseTarget(database.scratchUrl), schema: live.schema };
  try {
    return await replay({ server, migrations, jobId, signal }, async (made) =>
      (await readAsItIs(request, made)).hash === (await readAsItIs(request, live)).hash
        ? null
        : normalised(request, made, read),
    );
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError) || error.code !== 'STATEMENT_FAILED') throw error;
    throw unknown(`The migrations do not run on an empty database (${error.message})`, database);
  }
}

const sessionName = (jobId: string): string => `switchback:${jobId}:schema`;

/** Not through a copy. It waits for a locked table no longer than a dump does. */
export const readAsItIs = (
  { config, database, jobId }: Pick<ExpectedRequest, 'config' | 'database' | 'jobId'>,
  source: Target,
): Promise<Fingerprint> =>
  withSession(source, { applicationName: sessionName(jobId), doing: 'reading a schema' }, async (session) => {
    await session.query(`set lock_timeout = '${config.backups.lockWaitSeconds}s'`);
    return readFingerprint(session, { ignore: database.policy.ignore });
  });

function textToReplay(migration: Migration, database: DatabaseConfig): { name: string; sql: string } {
  const { name } = migration;
  const sql = replayedText(migration);
  if (typeof sql === 'string') return { name, sql };
  throw unknown(
    `${name}, line ${sql.line}, changes in code what belongs to the whole server or to another one, and can be neither run again nor left out`,
    database,
  );
}

const unknown = (why: string, { name }: DatabaseConfig): AppError =>
  new AppError(
    'DRIFT_UNKNOWN',
    `${why}, so that ${name} cannot be held against what its migrations make. Nothing was changed.`,
  );

/** Reads a schema as a copy of it has it. */
export const normalised = <T>(
  { config, database, jobId, signal }: Pick<ExpectedRequest, 'config' | 'database' | 'jobId' | 'signal'>,
  source: Target,
  read: (copied: Session, options: FingerprintOptions) => Promise<T>,
): Promise<T> => {
  const applicationName = sessionName(jobId);
  const server = database.scratchUrl === undefined ? undefined : parseTarget(database.scratchUrl);
  return throughCopy(
    {
      source,
      programPlaces: { directory: config.postgresPrograms, searchPath: programDirectories() },
      lockWaitSeconds: config.backups.lockWaitSeconds,
      applicationName,
      signal,
      scratch: { jobId, applicationName, server },
    },
    (copied) => read(copied, { ignore: database.policy.ignore }),
  );
};

interface Applied {
  readonly applied: readonly Pick<HistoryRow, 'name' | 'checksum'>[];
}

/** So many of each database are kept: the one before a deployment that failed may be asked for again. */
const kept = 3;

/** Keeps what these migrations make, for the next who asks. */
export async function keepExpected(
  request: Pick<ExpectedRequest, 'control' | 'database' | 'serverVersion'> & Applied,
  { facts }: Fingerprint,
): Promise<void> {
  const { prisma } = request.control;
  const { name: database } = request.database;
  const key = keyOf(request);
  const row = { facts: [...facts], createdAt: new Date() };
  await prisma.expectedSchema.upsert({
    where: { database_key: { database, key } },
    create: { database, key, ...row },
    update: row,
  });
  await prisma.$executeRaw`
    delete from expected_schema where database = ${database} and key not in
      (select key from expected_schema where database = ${database} order by created_at desc limit ${kept})`;
}

function keyOf({
  applied,
  serverVersion,
  database,
}: Pick<ExpectedRequest, 'serverVersion' | 'database'> & Applied): string {
  const migrations = applied.map(({ name, checksum }) => [name, checksum]);
  return createHash('sha256')
    .update(JSON.stringify([migrations, serverVersion, database.policy.ignore, database.scratchUrl ?? '']))
    .digest('hex');
}
