import type { Session } from '../db/session.ts';
import { inVault, type VaultEntry } from './entry.ts';
import { readEntry } from './list.ts';
import { vaultSchema } from './schema.ts';

/**
 * Removes what an entry keeps, for good. Its line stays, as `removed`. Removing it again does nothing.
 * @throws AppError `VAULT_ENTRY_NOT_FOUND`
 */
export async function removeEntry(session: Session, id: string): Promise<void> {
  await drop(session, await readEntry(session, id));
}

export async function drop(session: Session, { id, relation, facts }: VaultEntry): Promise<void> {
  try {
    await session.query(
      [
        'begin',
        ...(facts.beforeRemoval ?? []),
        ...(relation === null ? [] : [`drop table if exists ${inVault(relation)}`]),
        `delete from ${vaultSchema}.conflict where entry = '${id}'`,
        `update ${vaultSchema}.entry set state = 'removed', bytes = 0 where id = '${id}'`,
        'commit',
      ].join('; '),
    );
  } catch (error) {
    if (session.alive) await session.query('rollback');
    throw error;
  }
}
