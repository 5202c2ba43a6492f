/** One backup with its record in the control database: dumped, read back, and only then `verified`. */
import { v7 as newId } from 'uuid';
import { type Config, type DatabaseConfig, programDirectories } from '../config.ts';
import type { Control } from '../db/control/control.ts';
import { type Backup, Prisma } from '../db/control/generated/client.ts';
import { toJson } from '../db/control/job-rows.ts';
import { parseTarget } from '../db/target.ts';
import { AppError, toAppError } from '../errors.ts';
import { type ByteProgress, createBackup, type Dump } from './create.ts';
import { dumpKey, type Manifest, manifestKey, writeManifest } from './manifest.ts';
import type { BackupStore } from './stores/define-store.ts';
import { verifyBackup } from './verify.ts';

export type BackupPhase = 'dump' | 'verify';

export interface BackUpRequest {
  readonly control: Control;
  readonly store: BackupStore;
  readonly config: Config;
  readonly database: DatabaseConfig;
  readonly jobId: string;
  readonly requestedBy: string;
  readonly signal: AbortSignal;
  /** Runs one phase: a job's step, or a part of one. */
  phase<T>(name: BackupPhase, work: (progress: ByteProgress) => Promise<T>): Promise<T>;
}

/**
 * Backs up one registered database for one job, and returns the record in state `verified`. Run again for the same
 * job, it starts over; a backup that the job has already verified is returned as it is, never written again.
 * @throws AppError what `createBackup` and `verifyBackup` throw; the record is `failed` then, and nothing of the
 * backup is left in the store
 */
export async function backUpDatabase(request: BackUpRequest): Promise<Backup> {
  const { control, store, jobId } = request;
  const record = await control.prisma.backup.upsert({
    where: { jobId },
    create: {
      id: newId(),
      jobId,
      database: request.database.name,
      state: 'creating',
      requestedBy: request.requestedBy,
    },
    update: {},
  });
  if (record.state === 'verified') return record;
  const key = dumpKey(record.database, record.id);
  await control.prisma.backup.update({ where: { id: record.id }, data: { state: 'creating', key } });
  try {
    const manifest = await makeBackup(request, key);
    return await control.prisma.backup.update({
      where: { id: record.id },
      data: {
        state: 'verified',
        bytes: manifest.bytes,
        sha256: manifest.sha256,
        durationMs: manifest.durationMs,
        manifest: { ...manifest, verification: { ...manifest.verification } },
        error: Prisma.DbNull,
        verifiedAt: new Date(manifest.verification.verifiedAt),
      },
    });
  } catch (error) {
    const failure = await discard(store, key, error);
    await control.prisma.backup.update({
      where: { id: record.id },
      data: { state: 'failed', error: toJson(toAppError(failure).toRecord()) },
    });
    throw failure;
  }
}

async function makeBackup(request: BackUpRequest, key: string): Promise<Manifest> {
  const { config, database, jobId, signal, store } = request;
  const target = parseTarget(database.url);
  const dump = await request.phase('dump', (progress) =>
    createBackup({
      target,
      store,
      key,
      programPlaces: { directory: config.postgresPrograms, searchPath: programDirectories() },
      lockWaitSeconds: config.backups.lockWaitSeconds,
      // Not the bare job's name: by that a deployment's successor finds statements that it may end.
      applicationName: `switchback:backup:${jobId}`,
      signal,
      progress,
    }),
  );
  const readFrom = Date.now();
  await request.phase('verify', (progress) => verifyBackup(store, dump, { signal, progress }));
  const manifest = describe(request, dump, target.display, readFrom);
  await writeManifest(store, manifest, signal);
  return manifest;
}

function describe(request: BackUpRequest, dump: Dump, source: string, readFrom: number): Manifest {
  return {
    format: 1,
    database: request.database.name,
    source,
    requestedBy: request.requestedBy,
    jobId: request.jobId,
    serverVersion: dump.source.serverVersion,
    programVersion: dump.programs.version,
    databaseBytes: dump.source.databaseBytes,
    lastMigration: dump.source.lastMigration,
    key: dump.key,
    bytes: dump.bytes,
    sha256: dump.sha256,
    startedAt: dump.startedAt.toISOString(),
    finishedAt: new Date(dump.startedAt.getTime() + dump.durationMs).toISOString(),
    durationMs: dump.durationMs,
    verification: {
      method: 'read back',
      verifiedAt: new Date().toISOString(),
      durationMs: Date.now() - readFrom,
    },
  };
}

/** Removes what a failed backup left. Where the store refuses that too, the error says what remains. */
async function discard(store: BackupStore, key: string, error: unknown): Promise<unknown> {
  try {
    await store.remove(key);
    await store.remove(manifestKey(key));
    return error;
  } catch (refused) {
    const { code, message, details } = toAppError(error);
    return new AppError(
      code,
      `${message} What was written could not be removed: ${toAppError(refused).message}`,
      { ...details, remains: key },
      { cause: error },
    );
  }
}

/** The youngest verified backup of a database that was asked for, and so holds its state, within the last `minutes`. */
export function findYoungVerifiedBackup(
  control: Control,
  database: string,
  minutes: number,
): Promise<Backup | null> {
  return control.prisma.backup.findFirst({
    where: { database, state: 'verified', createdAt: { gte: new Date(Date.now() - minutes * 60_000) } },
    orderBy: { createdAt: 'desc' },
  });
}
