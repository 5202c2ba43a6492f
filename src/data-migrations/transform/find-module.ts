import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../errors.ts';

/** A module of the configured folder that transforms rows. */
export interface TransformModule {
  readonly name: string;
  /** The configured folder. */
  readonly directory: string;
  /** Absolute. */
  readonly file: string;
  /** SHA-256, in hexadecimal, of the file; where it is a folder of its own, of all that is in it. */
  readonly hash: string;
}

/** What a transform may be called: nothing that means something in a path. */
export const transformName = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$/;

/** Within the configured folder, in this order. */
const places = (name: string): string[] => [
  `${name}.mjs`,
  `${name}.js`,
  path.join(name, 'index.mjs'),
  path.join(name, 'index.js'),
];

/**
 * Finds a transform by its name.
 * @param recorded the hash under which the data migration began; null where it begins now
 * @throws AppError `TRANSFORM_NOT_FOUND`, `TRANSFORM_CHANGED`
 */
export async function findModule(
  directory: string | undefined,
  name: string,
  recorded: string | null,
): Promise<TransformModule> {
  if (directory === undefined)
    throw notFound(name, 'no folder with transforms is configured ("transforms" in the configuration)');
  if (!transformName.test(name))
    throw notFound(name, 'a name has letters, digits, hyphens and underscores, at most 63');
  for (const place of places(name)) {
    const file = path.join(directory, place);
    const hash = await hashOf(file, path.dirname(place) === '.' ? null : path.dirname(file));
    if (hash === null) continue;
    if (recorded !== null && recorded !== hash)
      throw new AppError(
        'TRANSFORM_CHANGED',
        `The transform "${name}" is not the one with which this data migration began: ${file} was changed. ` +
          'Nothing more was written; the batches before stand. Put the module back and resume, or cancel and begin a new data migration.',
        { module: name, recorded, found: hash },
      );
    return { name, directory, file, hash };
  }
  throw notFound(name, `there is no ${name}.mjs, ${name}.js or ${name}/index.mjs in ${directory}`);
}

/** Null where there is no such file. */
async function hashOf(file: string, folder: string | null): Promise<string | null> {
  try {
    const own = await readFile(file);
    if (folder === null) return createHash('sha256').update(own).digest('hex');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(code)) return null;
    throw error;
  }
  const hash = createHash('sha256');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.join(entry.parentPath, entry.name));
  for (const one of files.sort()) {
    const content = await readFile(one);
    hash.update(JSON.stringify([path.relative(folder, one), content.length])).update(content);
  }
  return hash.digest('hex');
}

const notFound = (name: string, reason: string): AppError =>
  new AppError(
    'TRANSFORM_NOT_FOUND',
    `The transform "${name.slice(0, 64)}" was not found: ${reason}. Nothing was done.`,
    {
      module: name.slice(0, 64),
    },
  );
