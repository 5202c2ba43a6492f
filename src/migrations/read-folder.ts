import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { AppError } from '../errors.ts';
import { checksum } from './checksum.ts';
import { byName, lockFile, type Migration } from './read.ts';

/** A migrations directory as it stands, for those who only look at it: it need not be fit for a deployment. */
export interface Folder {
  readonly directory: string;
  /** In the order in which they are applied. */
  readonly migrations: readonly Migration[];
  /** Content of `migration_lock.toml`; null where it is missing. */
  readonly lockFile: string | null;
  /** All other files, by their path below the directory. */
  readonly otherFiles: readonly OtherFile[];
}

interface OtherFile {
  readonly path: string;
  readonly content: Buffer;
}

const sqlFile = 'migration.sql';
/** Where Prisma's projects have their migrations, seen from the project and from its `prisma` folder. */
const below = ['', 'migrations', 'prisma/migrations'];

/**
 * Reads the migrations directory itself, or the one of a project. Everything is read before it returns: for a command
 * that has nothing else to do.
 * @throws AppError `MIGRATIONS_DIRECTORY_MISSING`, `MIGRATIONS_DIRECTORY_EMPTY`, `MIGRATION_SQL_MISSING`
 */
export function readFolder(given: string): Folder {
  list(given);
  const directories = below.map((child) => path.join(given, child));
  const directory =
    directories.find((candidate) => foldersOf(candidate).some((name) => holdsSql(candidate, name))) ??
    directories.find((candidate) => isNamed(candidate) && foldersOf(candidate).length > 0);
  if (directory === undefined)
    throw new AppError(
      'MIGRATIONS_DIRECTORY_EMPTY',
      `${given} holds no migration, nor does a folder "migrations" or "prisma/migrations" below it.`,
      { directory: given },
    );
  const names = foldersOf(directory).sort(byName);
  const otherFiles = [
    ...filesOf(directory, '', false),
    ...names.flatMap((name) => besidesSql(directory, name)),
  ];
  return {
    directory,
    migrations: names.map((name) => readMigration(directory, name)),
    lockFile: otherFiles.find((file) => file.path === lockFile)?.content.toString('utf8') ?? null,
    otherFiles,
  };
}

/** Whether a folder without any migration that could be read is one of migrations all the same. */
const isNamed = (directory: string): boolean =>
  path.basename(path.resolve(directory)) === 'migrations' ||
  list(directory, []).some(({ name }) => name === lockFile);

/** Prisma passes over everything else, symbolic links to folders included. */
const foldersOf = (directory: string): string[] =>
  list(directory, [])
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

const holdsSql = (directory: string, name: string): boolean =>
  list(path.join(directory, name), []).some((entry) => entry.name === sqlFile);

function readMigration(directory: string, name: string): Migration {
  const sql = readFile(path.join(directory, name, sqlFile), null);
  if (sql === null)
    throw new AppError(
      'MIGRATION_SQL_MISSING',
      `${path.join(directory, name)} has no ${sqlFile}. Prisma stops here (P3015): restore the file or remove the folder.`,
      { migration: name },
    );
  return { name, sql, checksum: checksum(sql) };
}

/** All but a few folders of migrations have nothing else. */
const besidesSql = (directory: string, name: string): OtherFile[] =>
  namesIn(path.join(directory, name)).some((file) => file !== sqlFile)
    ? filesOf(directory, name).filter((file) => file.path !== `${name}/${sqlFile}`)
    : [];

const filesOf = (directory: string, under: string, deep = true): OtherFile[] =>
  list(path.join(directory, under)).flatMap((entry) => {
    const relative = path.posix.join(under, entry.name);
    if (entry.isDirectory()) return deep ? filesOf(directory, relative) : [];
    return entry.isFile() ? [{ path: relative, content: readFile(path.join(directory, relative)) }] : [];
  });

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    throw unreadable(directory, error);
  }
}

function list(directory: string, otherwise?: Dirent[]): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (otherwise !== undefined && isMissing(error)) return otherwise;
    throw unreadable(directory, error);
  }
}

function readFile<T = never>(file: string, otherwise?: T): Buffer | T {
  try {
    return readFileSync(file);
  } catch (error) {
    if (otherwise !== undefined && isMissing(error)) return otherwise;
    throw unreadable(file, error);
  }
}

const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

function unreadable(place: string, error: unknown): AppError {
  const { code } = error as NodeJS.ErrnoException;
  return new AppError(
    'MIGRATIONS_DIRECTORY_MISSING',
    `${place} cannot be read (${code ?? String(error)}).`,
    { directory: place },
    { cause: error },
  );
}
