import { existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, chown, mkdir } from 'node:fs/promises';
import path from 'node:path';

/** The operating system's user as which PostgreSQL runs; it refuses to run as root. */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The user to switch to, or null where this process is not root and runs the server itself. */
export function serverUser(): OsUser | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
  const named = (name: string): OsUser | undefined => users.find((user) => user.name === name);
  // `postgres` is there where a package of the server is installed; every system has `nobody`, mostly by this number.
  return named('postgres') ?? named('nobody') ?? { name: 'nobody', uid: 65_534, gid: 65_534 };
}

/** Whether a user may enter every folder down to a place, as far as the place exists. */
export function canReach(place: string, user: OsUser | null): boolean {
  if (user === null) return true;
  const above = path.dirname(place);
  if (above !== place && !canReach(above, user)) return false;
  if (!existsSync(place)) return true;
  const { mode, uid, gid } = statSync(place);
  const search = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
  return (mode & search) !== 0;
}

/** Makes a folder that only the server's user may enter. Folders above it that are missing let everybody through. */
export async function ownFolder(folder: string, user: OsUser | null): Promise<void> {
  await mkdir(path.dirname(folder), { recursive: true, mode: 0o755 });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (user !== null) await chown(folder, user.uid, user.gid);
  await chmod(folder, 0o700);
}
