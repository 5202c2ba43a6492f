import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { type Extract, extract, type Header } from 'tar-stream';
import { AppError } from '../errors.ts';
import { assembleBundle, type Bundle, lockFile } from './read.ts';

export interface ArchiveLimits {
  /** Of everything in the archive, unpacked. */
  readonly maxBytes: number;
  readonly maxEntries: number;
}

export const archiveLimits: ArchiveLimits = Object.freeze({ maxBytes: 268_435_456, maxEntries: 20_000 });

/**
 * Reads a gzipped tar of a migrations directory, which may lie in one leading folder. Nothing is written to disk, and
 * no more is unpacked than the limits allow. Files that are no part of a migration are passed over.
 * @throws AppError `BUNDLE_INVALID` (no archive, links, devices, paths that lead out), `BUNDLE_TOO_LARGE`, and those
 * of `assembleBundle`
 */
export async function readArchive(gzipped: Buffer, limits: ArchiveLimits = archiveLimits): Promise<Bundle> {
  const files = await unpack(gzipped, limits);
  const root = rootOf(files);
  const inside = new Map(
    [...files].flatMap(([name, content]) =>
      name.startsWith(root) ? [[name.slice(root.length), content] as const] : [],
    ),
  );
  const folders = new Set(
    [...inside.keys()].flatMap((name) => (name.includes('/') ? [name.slice(0, name.indexOf('/'))] : [])),
  );
  return assembleBundle('The bundle', [...folders], {
    read: async (relative) => inside.get(relative) ?? null,
    list: async (relative) => namesIn(inside, `${relative}/`),
  });
}

function namesIn(files: ReadonlyMap<string, Buffer>, folder: string): string[] {
  const below = [...files.keys()].filter((name) => name.startsWith(folder) && name !== folder);
  return [...new Set(below.map((name) => name.slice(folder.length).split('/', 1)[0] ?? ''))];
}

/** The leading folder with its slash, where the lock file lies in one; else nothing. */
function rootOf(files: ReadonlyMap<string, Buffer>): string {
  if (files.has(lockFile)) return '';
  const locks = [...files.keys()].filter(
    (name) => name.split('/').length === 2 && name.endsWith(`/${lockFile}`),
  );
  const [lock, another] = locks;
  if (another !== undefined) throw invalid('it holds several migrations directories', { entries: locks });
  return lock?.slice(0, -lockFile.length) ?? '';
}

/** Contents by normal path; a folder ends in a slash. */
async function unpack(gzipped: Buffer, limits: ArchiveLimits): Promise<Map<string, Buffer>> {
  const tar = extract();
  const files = new Map<string, Buffer>();
  const outcomes = await Promise.allSettled([
    collect(tar, files, limits),
    pipeline(Readable.from([gzipped]), createGunzip(), (chunks) => capped(chunks, limits), tar),
  ]);
  const errors = outcomes.flatMap((outcome): unknown[] =>
    outcome.status === 'rejected' ? [outcome.reason] : [],
  );
  // A refusal ends the stream, which then fails too: the refusal says more.
  const refusal = errors.find((error) => error instanceof AppError);
  if (refusal !== undefined) throw refusal;
  if (errors.length > 0) throw invalid('it is no gzipped tar, or not all of one', {}, errors[0]);
  if (files.size === 0) throw invalid('it is empty');
  return files;
}

/** Passes on what a gzip unfolds to, up to the limit: a bomb ends here and not in memory. */
async function* capped(chunks: AsyncIterable<Buffer>, limits: ArchiveLimits): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > limits.maxBytes)
      throw new AppError(
        'BUNDLE_TOO_LARGE',
        `The bundle holds more than ${limits.maxBytes} bytes when unpacked. Nothing was stored.`,
        { maxBytes: limits.maxBytes },
      );
    yield chunk;
  }
}

async function collect(tar: Extract, files: Map<string, Buffer>, limits: ArchiveLimits): Promise<void> {
  let entries = 0;
  for await (const entry of tar) {
    entries += 1;
    if (entries > limits.maxEntries)
      throw new AppError(
        'BUNDLE_TOO_LARGE',
        `The bundle holds more than ${limits.maxEntries} entries. Nothing was stored.`,
        { maxEntries: limits.maxEntries },
      );
    const name = acceptedName(entry.header);
    if (files.has(name) && !name.endsWith('/')) throw invalid(`${name} is in it twice`, { entry: name });
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    if (name !== '/') files.set(name, Buffer.concat(chunks));
  }
}

/** The entry's path, normalised. Only files and folders below the archive's top are accepted. */
function acceptedName({ name, type }: Header): string {
  if (type !== 'file' && type !== 'directory')
    throw invalid(`${name} is a ${type}; only files and folders are accepted`, { entry: name });
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (name.startsWith('/') || /[\\\0]|^[A-Za-z]:/.test(name) || parts.includes('..'))
    throw invalid(`${name} leads out of it`, { entry: name });
  // `_prisma_migrations.migration_name` holds 255 characters.
  if (parts.some((part) => part.length > 255)) throw invalid('it has a name of more than 255 characters');
  return type === 'directory' ? `${parts.join('/')}/` : parts.join('/');
}

const invalid = (reason: string, details: Record<string, unknown> = {}, cause?: unknown): AppError =>
  new AppError(
    'BUNDLE_INVALID',
    `The upload is not an acceptable bundle: ${reason}. Nothing was stored. Send a gzipped tar of the migrations directory, such as "tar -czf - -C prisma/migrations .".`,
    details,
    { cause },
  );
