/** Tries migrations, and their ways back, on a copy of the live schema in a scratch database, before anything is done. */
import { type Config, type DatabaseConfig, programDirectories } from '../../config.ts';
import { withSession } from '../../db/session.ts';
import { parseTarget, type Target } from '../../db/target.ts';
import { AppError } from '../../errors.ts';
import { textOf } from '../../migrations/plan-migration.ts';
import type { Migration } from '../../migrations/read.ts';
import {
  type ProofRows,
  type ProvenMigration,
  proveMigrations,
  type SchemaHook,
} from '../../rollback/prove.ts';
import { writtenRollback } from '../../rollback/sources.ts';
import { isOutward } from '../../schema/copy.ts';
import { reachesBeyond } from '../../sql/cluster-wide.ts';
import { loadParser, SyntaxFault } from '../../sql/parse.ts';
import { type Statement, splitStatements } from '../../sql/split.ts';
import type { WayBack } from '../rollbacks/way-back.ts';
import { outwardCode, outwardTriggers } from './outward-triggers.ts';

export interface RehearsalRequest {
  readonly config: Config;
  readonly database: DatabaseConfig;
  readonly jobId: string;
  /** All that is pending, in order, up to the last that is to be tried. */
  readonly migrations: readonly Migration[];
  readonly rows: ProofRows;
  readonly signal: AbortSignal;
  /** Called with the scratch database while there is nothing in it. */
  readonly empty?: (scratch: Target) => Promise<void>;
  /** Called with it, and what it has, while it is a copy of the live one still. */
  readonly found?: SchemaHook;
  /** Called with it when all of them are applied, unless one has failed. */
  readonly made?: SchemaHook;
  /** Called with each as soon as it has been tried. */
  readonly tried: (way: WayBack) => Promise<void>;
}

/**
 * Each migration's way back, with what came of trying it. Where one cannot be tried, those behind it cannot either.
 * @throws AppError what `found` throws to stop it (`SCHEMA_DRIFTED`); the signal's reason
 */
export async function rehearse(request: RehearsalRequest): Promise<WayBack[]> {
  await loadParser();
  const { migrations } = request;
  const ways: WayBack[] = [];
  const beyond = firstBeyond(migrations);
  const sandboxed = migrations.slice(0, beyond?.index ?? migrations.length);
  const obstacle = sandboxed.length === 0 ? null : await tryAll(request, sandboxed, ways);
  const reason = obstacle ?? beyond?.reason ?? behindFailed(ways);
  for (const migration of migrations.slice(ways.length)) ways.push(notRehearsed(migration, reason));
  return ways;
}

/** @returns why those that are missing in `ways` could not be tried */
async function tryAll(
  request: RehearsalRequest,
  migrations: readonly Migration[],
  ways: WayBack[],
): Promise<string | null> {
  const { config, database, jobId, rows, signal } = request;
  const live = parseTarget(database.url);
  try {
    const server = await scratchServer(database);
    const outward = await outwardTriggers(live);
    if (outward !== null) return outward;
    const texts = migrations.map((one) => ({
      name: one.name,
      sql: `${textOf(one)};${writtenRollback(one.files ?? new Map())?.sql ?? ''}`,
    }));
    const code = await outwardCode(live, texts);
    const tried = migrations.slice(0, code?.index);
    if (code !== null && tried.length === 0) return code.reason;
    const proofs = proveMigrations({
      server,
      from: {
        live,
        programPlaces: { directory: config.postgresPrograms, searchPath: programDirectories() },
        lockWaitSeconds: config.backups.lockWaitSeconds,
      },
      rows,
      migrations: tried.map((one) => ({
        name: one.name,
        sql: textOf(one),
        files: one.files ?? new Map(),
      })),
      jobId,
      signal,
      ...(request.empty === undefined ? {} : { empty: request.empty }),
      ...(request.found === undefined ? {} : { found: request.found }),
      ...(request.made === undefined || tried.length < request.migrations.length
        ? {}
        : { made: request.made }),
    });
    for await (const proof of proofs) {
      const migration = migrations.find(({ name }) => name === proof.name);
      if (migration === undefined) return proof.reasons.join(' ');
      const way = wayOf(migration, proof);
      ways.push(way);
      await request.tried(way);
    }
    return ways.length < tried.length ? null : (code?.reason ?? null);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError) || error.code === 'SCHEMA_DRIFTED') throw error;
    return error.message;
  }
}

/**
 * Where the scratch databases of a database are made.
 * @throws AppError `SCRATCH_DENIED` where that is another major version, `DATABASE_UNREACHABLE`
 */
export async function scratchServer({ url, scratchUrl }: DatabaseConfig): Promise<Target> {
  const server = parseTarget(scratchUrl ?? url);
  if (scratchUrl !== undefined) await demandSameMajor(parseTarget(url), server);
  return server;
}

/** Another one knows other statements, and prints a schema in another way. */
async function demandSameMajor(live: Target, scratch: Target): Promise<void> {
  const majorOf = (target: Target): Promise<number> =>
    withSession(
      target,
      { applicationName: 'switchback:prove', doing: 'comparing servers' },
      async (session) => {
        const { rows } = await session.query<{ major: number }>(
          "select pg_catalog.current_setting('server_version_num')::int / 10000 as major",
        );
        return rows[0]?.major ?? 0;
      },
    );
  const [wanted, found] = [await majorOf(live), await majorOf(scratch)];
  if (wanted !== found)
    throw new AppError(
      'SCRATCH_DENIED',
      `The server for scratch databases, ${scratch.host}:${scratch.port}, is PostgreSQL ${found}, and ${live.display} is PostgreSQL ${wanted}: what holds there says little about here. Name one of the same major version.`,
      { wanted, found },
    );
}

function wayOf(migration: Migration, proof: ProvenMigration): WayBack {
  const lacking =
    proof.outcome === 'failed'
      ? proof.compared.leftOut.filter((one) => !isOfRows(one) && !isOutward(one))
      : [];
  // It may have needed what could not be copied: that says nothing about the migration.
  if (lacking.length > 0)
    return notRehearsed(
      migration,
      `It does not run in the scratch database, which is not all that the live one is (${lacking.join('; ')}): ${proof.reasons.join(' ')}`,
    );
  if (proof.outcome === 'failed' && proof.wantsRows)
    return notRehearsed(
      migration,
      `It does not run without rows that the scratch database does not have, or not at all; on a copy of all rows (\`full\`) it can be tried: ${proof.reasons.join(' ')}`,
    );
  return {
    migration: migration.name,
    checksum: migration.checksum,
    source: proof.source,
    sql: proof.sql,
    outcome: proof.outcome,
    provenOn: proof.outcome === 'proven' ? proof.on : null,
    reasons: proof.reasons,
    compared: proof.compared,
  };
}

/** Rows that were left out, and not objects. */
const isOfRows = (leftOut: string): boolean => leftOut.startsWith('rows');

function notRehearsed(migration: Migration, reason: string): WayBack {
  const written = writtenRollback(migration.files ?? new Map());
  return {
    migration: migration.name,
    checksum: migration.checksum,
    source: written?.source ?? 'generated',
    sql: written?.sql ?? '',
    outcome: 'notRehearsed',
    provenOn: null,
    reasons: [reason],
    compared: null,
  };
}

const behindFailed = (ways: readonly WayBack[]): string =>
  `It stands on ${ways.at(-1)?.migration ?? 'what'}, which does not run in the scratch database.`;

/** The first migration whose effect, or whose written rollback's, a scratch database would not hold. */
export function firstBeyond(migrations: readonly Migration[]): { index: number; reason: string } | null {
  for (const [index, migration] of migrations.entries()) {
    const written = writtenRollback(migration.files ?? new Map())?.sql ?? '';
    const statement = [...statementsOf(textOf(migration)), ...statementsOf(written)].find(reachesBeyond);
    if (statement !== undefined)
      return {
        index,
        reason: `${migration.name}, line ${statement.line}, changes what belongs to the whole server or to another one, and would do so from a scratch database, too.`,
      };
  }
  return null;
}

/** Text that does not parse fails when it is tried, if the server does not know it either. */
function statementsOf(text: string): Statement[] {
  try {
    return splitStatements(text);
  } catch (error) {
    if (error instanceof SyntaxFault) return [];
    throw error;
  }
}
