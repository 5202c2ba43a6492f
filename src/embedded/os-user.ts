import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** The operating system's user as which PostgreSQL runs; it refuses to run as root. */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The user to switch to, or null where this process is not root and needs not to. */
export function serverUser(): OsUser | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
  // Every system has `nobody`; `postgres` is there where a server package is installed.
  return (
    users.find(({ name }) => name === 'postgres') ??
    users.find(({ name }) => name === 'nobody') ?? { name: 'nobody', uid: 65_534, gid: 65_534 }
  );
}

/** Whether a user may enter every folder down to a place. */
export function canReach(place: string, user: OsUser | null): boolean {
  if (user === null) return true;
  for (let folder = place; ; folder = path.dirname(folder)) {
    const { mode, uid, gid } = statSync(folder);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (folder === path.dirname(folder)) return true;
  }
}
