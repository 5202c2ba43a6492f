import type { Session } from '../db/session.ts';
import { readEntries, type VaultEntry } from './entry.ts';
import { drop } from './remove.ts';
import { vaultExists } from './schema.ts';

/** Removes the entries whose retention has ended, each in a transaction of its own. @returns what was removed */
export async function removeExpired(session: Session): Promise<VaultEntry[]> {
  if (!(await vaultExists(session))) return [];
  const expired = await readEntries(
    session,
    "state <> 'removed' and keep_until < pg_catalog.clock_timestamp()",
  );
  for (const entry of expired) await drop(session, entry);
  return expired;
}
