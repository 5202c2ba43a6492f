import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { readEntries, type VaultEntry } from './entry.ts';
import { vaultExists, vaultSchema } from './schema.ts';

/** What the vault has, the oldest first. Of a database without a vault: nothing. */
export async function listVault(session: Session): Promise<VaultEntry[]> {
  return (await vaultExists(session)) ? readEntries(session, 'true') : [];
}

/** @throws AppError `VAULT_ENTRY_NOT_FOUND` */
export async function readEntry(session: Session, id: string): Promise<VaultEntry> {
  const [entry] = (await vaultExists(session)) ? await readEntries(session, 'id::text = $1', [id]) : [];
  if (entry === undefined)
    throw new AppError(
      'VAULT_ENTRY_NOT_FOUND',
      `The vault of ${session.target.display} has no entry ${id}. List the vault to see what is kept.`,
      { id },
    );
  return entry;
}

export interface Conflict {
  readonly reason: string;
  readonly detail: string;
  /** The row or the values that were not put back, as texts. */
  readonly kept: Readonly<Record<string, string | null>> | null;
  readonly foundAt: Date;
}

/** What of an entry could not be put back, and why. */
export async function listConflicts(session: Session, id: string, limit = 100): Promise<Conflict[]> {
  const { rows } = await session.query<Conflict>(
    `select reason, detail, kept, found_at as "foundAt" from ${vaultSchema}.conflict where entry::text = $1 order by id limit $2`,
    [id, limit],
  );
  return rows;
}
