/** Backups as files below one directory: files of mode 0600, directories of mode 0700. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { FileStoreConfig } from '../../config.ts';
import { AppError } from '../../errors.ts';
import { type BackupStore, defineStore, type StoredObject } from './define-store.ts';
import { isLeftover, temporaryName } from './temporary.ts';

const readBytes = 1_048_576;

class FileStore implements BackupStore {
  readonly display: string;
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.display = directory;
  }

  async put(
    key: string,
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ bytes: number; sha256: string }> {
    const file = this.#fileOf(key);
    const directory = path.dirname(file);
    const temporary = path.join(directory, temporaryName(randomBytes(6).toString('hex')));
    await this.#io(() => mkdir(directory, { recursive: true, mode: 0o700 }));
    const handle = await this.#io(() => open(temporary, 'wx', 0o600));
    try {
      const written = await this.#write(handle, content, signal);
      await this.#io(() => handle.sync());
      await this.#io(() => handle.close());
      await this.#io(() => rename(temporary, file));
      await this.#io(() => syncDirectory(directory));
      return written;
    } catch (error) {
      await handle.close();
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async #write(
    handle: FileHandle,
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ bytes: number; sha256: string }> {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of content) {
      signal.throwIfAborted();
      hash.update(chunk);
      bytes += chunk.byteLength;
      await this.#io(() => handle.writeFile(chunk));
    }
    signal.throwIfAborted();
    return { bytes, sha256: hash.digest('hex') };
  }

  async *get(key: string): AsyncGenerator<Buffer, void, undefined> {
    const file = this.#fileOf(key);
    try {
      for await (const chunk of createReadStream(file, { highWaterMark: readBytes })) yield chunk as Buffer;
    } catch (error) {
      if (codeOf(error) === 'ENOENT')
        throw new AppError(
          'BACKUP_NOT_FOUND',
          `The backup store ${this.display} has no "${key}": it was removed by other means.`,
          { key },
        );
      throw this.#refused(error);
    }
  }

  async *list(): AsyncGenerator<StoredObject, void, undefined> {
    const entries = await this.#io(() => readdir(this.#directory, { recursive: true, withFileTypes: true }));
    for (const entry of entries) {
      if (!entry.isFile() || entry.name.startsWith('.')) continue;
      const file = path.join(entry.parentPath, entry.name);
      const { size, mtime } = await this.#io(() => stat(file));
      yield {
        key: path.relative(this.#directory, file).split(path.sep).join('/'),
        bytes: size,
        modifiedAt: mtime,
      };
    }
  }

  async remove(key: string): Promise<void> {
    const file = this.#fileOf(key);
    await this.#io(() => rm(file, { force: true }));
  }

  /** Makes the directory, and removes what killed processes left in it. */
  async prepare(): Promise<void> {
    await this.#io(() => mkdir(this.#directory, { recursive: true, mode: 0o700 }));
    const probe = path.join(this.#directory, temporaryName(randomBytes(6).toString('hex')));
    await this.#io(async () => (await open(probe, 'wx', 0o600)).close());
    await this.#io(() => rm(probe));
    for (const entry of await this.#io(() =>
      readdir(this.#directory, { recursive: true, withFileTypes: true }),
    )) {
      const file = path.join(entry.parentPath, entry.name);
      if (entry.isFile() && (await this.#io(() => isLeftover(file))))
        await this.#io(() => rm(file, { force: true }));
    }
  }

  /** A segment begins with a letter or digit: no `..`, no absolute path, none of our hidden temporary names. */
  #fileOf(key: string): string {
    if (!key.split('/').every((segment) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(segment)))
      throw new AppError('INTERNAL', `"${key}" is no key of a backup store.`, { key });
    return path.join(this.#directory, key);
  }

  async #io<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#refused(error);
    }
  }

  #refused(error: unknown): AppError {
    const code = codeOf(error);
    const reason = error instanceof Error ? error.message : String(error);
    const details = { store: this.display, reason: code };
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG')
      return new AppError(
        'STORE_FULL',
        `The backup store ${this.display} has no room left (${reason}). Nothing of this backup was kept, earlier ones ` +
          'are untouched. Make room, then start it again.',
        details,
        { cause: error },
      );
    return new AppError(
      'STORE_UNREACHABLE',
      `The backup store ${this.display} cannot be used (${reason}). Earlier backups are untouched. ` +
        'Look whether the directory is mounted, and whether Switchback may write to it.',
      details,
      { cause: error },
    );
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** A rename is durable only when its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const fileStore = defineStore({
  type: 'file',
  async open(options: FileStoreConfig): Promise<BackupStore> {
    const store = new FileStore(options.directory);
    await store.prepare();
    return store;
  },
});
