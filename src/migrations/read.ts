import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../errors.ts';
import { checksum } from './checksum.ts';

/** Files beside `migration.sql` that take it back: the customer's convention, then that of other tools. */
export const rollbackFiles = ['rollback.sql', 'down.sql'] as const;

/** One Prisma-format folder. */
export interface Migration {
  readonly name: string;
  readonly sql: Buffer;
  /** SHA-256 of `migration.sql`, as Prisma writes it into its history. */
  readonly checksum: string;
  /** Texts of those of its `rollbackFiles` that are there; absent where nobody looked. */
  readonly files?: ReadonlyMap<string, string>;
  /** Texts of its `migration.json` and its `data-migrations/<name>.json`; absent where nobody looked. */
  readonly json?: ReadonlyMap<string, string>;
}

/** An immutable, content-addressed set of migrations, in the order in which they are applied. */
export interface Bundle {
  /** SHA-256 over names and checksums, and those of the files beside them. */
  readonly id: string;
  readonly migrations: readonly Migration[];
}

/** What is in a migrations directory, by the path below it. */
export interface Files {
  /** Null where there is no such file. */
  read(relative: string): Promise<Buffer | null>;
  /** Names of what is in a folder; none where there is no such folder. */
  list(relative: string): Promise<readonly string[]>;
}

/**
 * The order in which Prisma's command line (7.10) applies: by locale, where "_" comes before the digits, and not by
 * bytes, where it comes after them. `20260222_b` is applied before `20260222011200_a`.
 */
export const byName = (a: string, b: string): number => a.localeCompare(b, 'en');

export const lockFile = 'migration_lock.toml';
const sqlFile = 'migration.sql';
/** Beside `migration.sql`: what the migration needs. Prisma passes over whatever else is in a migration's folder. */
export const settingsFile = 'migration.json';
/** A folder beside `migration.sql`. At the top it would be a migration without SQL to Prisma. */
export const dataMigrationsFolder = 'data-migrations';

/**
 * Reads a migrations directory as Prisma does: every folder below it is a migration, sorted by name.
 * @throws AppError `MIGRATIONS_DIRECTORY_MISSING`, and those of `assembleBundle`
 */
export async function readDirectory(directory: string): Promise<Bundle> {
  const names = await listFolders(directory);
  const found = async <T>(otherwise: T, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return otherwise;
      throw unreadable(directory, error);
    }
  };
  return assembleBundle(directory, names, {
    read: (relative) => found<Buffer | null>(null, readFile(path.join(directory, relative))),
    list: (relative) => found<string[]>([], readdir(path.join(directory, relative))),
  });
}

async function listFolders(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    // Prisma passes over everything else, symbolic links to folders included.
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    throw unreadable(directory, error);
  }
}

function unreadable(directory: string, error: unknown): AppError {
  const { code } = error as NodeJS.ErrnoException;
  return new AppError(
    'MIGRATIONS_DIRECTORY_MISSING',
    `The migrations directory ${directory} cannot be read (${code ?? String(error)}). Nothing was done. Check the database's \`migrations\` in the configuration.`,
    { directory },
    { cause: error },
  );
}

/**
 * Makes a bundle of the folders' contents.
 * @throws AppError `MIGRATIONS_DIRECTORY_EMPTY`, `MIGRATION_LOCK_MISSING`, `MIGRATION_PROVIDER_UNSUPPORTED`, `MIGRATION_SQL_MISSING`
 */
export async function assembleBundle(
  source: string,
  folders: readonly string[],
  files: Files,
): Promise<Bundle> {
  if (folders.length === 0)
    throw new AppError('MIGRATIONS_DIRECTORY_EMPTY', `${source} holds no migration. Nothing was done.`, {
      directory: source,
    });
  requirePostgres(source, await files.read(lockFile));
  const names = [...folders].sort(byName);
  const migrations: Migration[] = [];
  for (const name of names) {
    const migration = readMigration(source, name, await files.read(path.posix.join(name, sqlFile)));
    const beside = await files.list(name);
    migrations.push(
      Object.freeze({
        ...migration,
        files: await readTexts(
          name,
          rollbackFiles.filter((file) => beside.includes(file)),
          files,
        ),
        json: await readTexts(name, await jsonFiles(name, beside, files), files),
      }),
    );
  }
  const hash = createHash('sha256');
  for (const { name, checksum: content, files: rollbacks = [], json = [] } of migrations) {
    hash.update(`${name}\0${content}\n`);
    for (const [file, text] of [...rollbacks, ...json])
      hash.update(`${name}/${file}\0${checksum(Buffer.from(text))}\n`);
  }
  return Object.freeze({ id: hash.digest('hex'), migrations });
}

async function jsonFiles(name: string, beside: readonly string[], files: Files): Promise<string[]> {
  const settings = beside.filter((file) => file === settingsFile);
  if (!beside.includes(dataMigrationsFolder)) return settings;
  const inside = await files.list(path.posix.join(name, dataMigrationsFolder));
  const found = inside.filter((file) => file.endsWith('.json')).sort();
  return [...settings, ...found.map((file) => path.posix.join(dataMigrationsFolder, file))];
}

async function readTexts(
  name: string,
  wanted: readonly string[],
  files: Files,
): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (const file of wanted) {
    const content = await files.read(path.posix.join(name, file));
    if (content !== null) texts.set(file, content.toString('utf8').replace(/^\uFEFF/, ''));
  }
  return texts;
}

function readMigration(source: string, name: string, sql: Buffer | null): Migration {
  if (sql === null)
    throw new AppError(
      'MIGRATION_SQL_MISSING',
      `${source}/${name} has no ${sqlFile}. Nothing was done. Prisma stops here too (P3015): ${name === dataMigrationsFolder ? 'put data migrations into a folder of this name beside the migration.sql to which they belong.' : 'restore the file or remove the folder.'}`,
      { migration: name },
    );
  return { name, sql, checksum: checksum(sql) };
}

function requirePostgres(source: string, lock: Buffer | null): void {
  if (lock === null)
    throw new AppError(
      'MIGRATION_LOCK_MISSING',
      `${source} has no ${lockFile}. Nothing was done. Commit the file that Prisma wrote beside the migrations.`,
      { directory: source },
    );
  const provider = /^\s*provider\s*=\s*"([^"]*)"/m.exec(lock.toString('utf8'))?.[1];
  if (provider === 'postgresql' || provider === 'postgres') return;
  throw new AppError(
    'MIGRATION_PROVIDER_UNSUPPORTED',
    `${source}/${lockFile} names ${provider === undefined ? 'no provider' : `the provider "${provider}"`}; Switchback deploys to PostgreSQL only. Nothing was done.`,
    { provider: provider ?? null },
  );
}
