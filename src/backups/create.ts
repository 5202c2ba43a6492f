/** A backup: pg_dump's custom format, streamed into the store. */
import {
  findPrograms,
  type ProgramEnd,
  type ProgramPlaces,
  type Programs,
  runProgram,
} from '../db/programs.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { findBlockers, readSourceFacts, type SourceFacts } from './source.ts';
import type { BackupStore } from './stores/define-store.ts';

/** Told while bytes move. A `total` whose message says so is an estimate. */
export type ByteProgress = (report: {
  readonly done: number;
  readonly total: number;
  readonly unit: 'bytes';
  readonly message: string;
}) => void;

export interface BackupRequest {
  readonly target: Target;
  readonly store: BackupStore;
  readonly key: string;
  readonly programPlaces: ProgramPlaces;
  /** How long pg_dump waits for a table that another session has locked. */
  readonly lockWaitSeconds: number;
  readonly applicationName: string;
  readonly signal: AbortSignal;
  readonly progress: ByteProgress;
}

/** A dump that is in the store; nothing says yet that it can be read. */
export interface Dump {
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly source: SourceFacts;
  readonly programs: Programs;
  readonly startedAt: Date;
  readonly durationMs: number;
}

/**
 * Dumps the whole database into the store. When it fails, nothing is in the store under the key.
 * @throws AppError `BACKUP_FAILED`, `PROGRAM_MISSING`, `PROGRAM_TOO_OLD`, `STORE_FULL`, `STORE_UNREACHABLE`,
 * `DATABASE_UNREACHABLE`; the signal's reason
 */
export async function createBackup(request: BackupRequest): Promise<Dump> {
  const { target, store, key, signal } = request;
  const startedAt = new Date();
  const source = await readSourceFacts(target, request.applicationName);
  const programs = await findPrograms(request.programPlaces, source.serverMajor);
  try {
    const { bytes, sha256 } = await store.put(key, dump(request, programs, source.databaseBytes), signal);
    return { key, bytes, sha256, source, programs, startedAt, durationMs: Date.now() - startedAt.getTime() };
  } catch (error) {
    throw await nameBlockers(error, request);
  }
}

async function* dump(
  request: BackupRequest,
  programs: Programs,
  databaseBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  const { target, signal } = request;
  const message = `dumping ${target.database}; the total is the database's size on disk, a dump is smaller`;
  let done = 0;
  for await (const chunk of runProgram(programs, 'pg_dump', {
    arguments: dumpArguments(request.lockWaitSeconds),
    environment: { ...target.libpqEnvironment, PGAPPNAME: request.applicationName },
    signal,
    failure: (end) => dumpFailed(target, end),
  })) {
    done += chunk.byteLength;
    request.progress({ done, total: Math.max(done, databaseBytes), unit: 'bytes', message });
    yield chunk;
  }
}

export const dumpArguments = (lockWaitSeconds: number): string[] => [
  '--format=custom',
  '--no-password',
  `--lock-wait-timeout=${lockWaitSeconds * 1_000}`,
];

function dumpFailed(target: Target, end: ProgramEnd): AppError {
  const how = end.killedBy === null ? `exit code ${end.exitCode}` : `killed by ${end.killedBy}`;
  const reason = end.stderr === '' ? how : end.stderr;
  return new AppError(
    'BACKUP_FAILED',
    `pg_dump could not back up ${target.display} (${how}): ${reason}. Nothing of it was kept; the database is as it was.`,
    { exitCode: end.exitCode, killedBy: end.killedBy, stderr: end.stderr },
  );
}

/** pg_dump's message when its lock was not granted is a bare statement timeout: adds which table, and who holds it. */
async function nameBlockers(error: unknown, request: BackupRequest): Promise<unknown> {
  if (!(error instanceof AppError) || error.code !== 'BACKUP_FAILED') return error;
  if (!/LOCK TABLE/.test(String(error.details.stderr))) return error;
  const blockers = await findBlockers(request.target, request.applicationName);
  const tables = blockers.map(
    (blocker) =>
      `${blocker.table} (locked by process ${blocker.pid}, "${blocker.application}", ${blocker.state})`,
  );
  const named = tables.length === 0 ? 'a table that is free again by now' : tables.join(', ');
  return new AppError(
    'BACKUP_FAILED',
    `pg_dump did not get to read ${named} within ${request.lockWaitSeconds} s. Nothing of the backup was kept; the ` +
      'database is as it was. Wait for the session that holds the lock, or end it, then start the backup again.',
    { ...error.details, blockers },
    { cause: error },
  );
}
