import { createHash } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { canReach, type OsUser } from './os-user.ts';

/** Where the product's own folders are when the server's user cannot reach the wanted one. */
const ownParent = '/var/lib/switchback';

/**
 * Makes the folder for the server's data. Where the server's user cannot reach the wanted one (a clone below /root,
 * say), it is one of the product's own, named after the wanted one's path, so that two clones do not meet.
 */
export async function makePlace(
  wanted: string,
  user: OsUser | null,
  parent: string = ownParent,
): Promise<string> {
  await mkdir(wanted, { recursive: true, mode: 0o755 });
  if (canReach(wanted, user)) return wanted;
  const place = path.join(parent, nameFor(wanted));
  await mkdir(place, { recursive: true });
  // Whatever the umask is: the user must come through, and need not look around.
  for (const folder of [parent, place]) await chmod(folder, 0o711);
  return place;
}

function nameFor(wanted: string): string {
  const hash = createHash('sha256').update(wanted).digest('hex').slice(0, 8);
  const readable = wanted.replaceAll(/[^a-zA-Z0-9]+/g, '-').replace(/^-/, '');
  return `${readable.slice(-60)}-${hash}`;
}
