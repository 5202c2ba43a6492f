/** Reads a backup back from the store, to its end. */
import { createHash, type Hash } from 'node:crypto';
import { type ProgramEnd, runProgram } from '../db/programs.ts';
import { AppError } from '../errors.ts';
import type { ByteProgress, Dump } from './create.ts';
import type { BackupStore } from './stores/define-store.ts';

/**
 * Proves that the stored object is what pg_dump wrote, and that pg_restore can read every row of it (`--list` would
 * read the table of contents only, and pass a dump that was cut in half). It does not restore anything.
 * @throws AppError `BACKUP_UNREADABLE`, `STORE_UNREACHABLE`; the signal's reason
 */
export async function verifyBackup(
  store: BackupStore,
  dump: Pick<Dump, 'key' | 'bytes' | 'sha256' | 'programs'>,
  options: { readonly signal: AbortSignal; readonly progress: ByteProgress },
): Promise<void> {
  const hash = createHash('sha256');
  const reading = runProgram(dump.programs, 'pg_restore', {
    arguments: ['--file=/dev/null'],
    environment: {},
    input: readBack(store, dump, hash, options.progress),
    signal: options.signal,
    failure: (end) => unreadable(store, dump.key, describeEnd(end)),
  });
  // pg_restore writes to /dev/null: what comes here is nothing, but its end is the verdict.
  for await (const _ of reading);
  if (hash.digest('hex') !== dump.sha256)
    throw unreadable(store, dump.key, 'its SHA-256 is not that of what pg_dump wrote');
}

async function* readBack(
  store: BackupStore,
  dump: Pick<Dump, 'key' | 'bytes'>,
  hash: Hash,
  progress: ByteProgress,
): AsyncGenerator<Uint8Array, void, undefined> {
  let done = 0;
  for await (const chunk of store.get(dump.key)) {
    hash.update(chunk);
    done += chunk.byteLength;
    progress({ done, total: dump.bytes, unit: 'bytes', message: 'reading the backup back' });
    yield chunk;
  }
}

const describeEnd = (end: ProgramEnd): string =>
  end.killedBy === null ? `pg_restore says: ${end.stderr}` : `pg_restore was killed by ${end.killedBy}`;

const unreadable = (store: BackupStore, key: string, reason: string): AppError =>
  new AppError(
    'BACKUP_UNREADABLE',
    `The backup "${key}" in ${store.display} cannot be read back: ${reason}. It must not be relied on; earlier backups ` +
      'are untouched. Look at the disk below the store, then start the backup again.',
    { key, reason },
  );
