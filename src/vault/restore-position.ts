import type { Session } from '../db/session.ts';
import { asVault } from './as-vault.ts';
import type { VaultEntry } from './entry.ts';
import { restoreSequence } from './restore-sequence.ts';
import { lookForTarget } from './target.ts';

/**
 * Takes a column's sequence, which was made after what entries keep was put back, on to where it stood. Inside the
 * session's open transaction.
 * @param at the table as the session's SQL names it
 */
export async function restorePosition(
  session: Session,
  entries: readonly VaultEntry[],
  at: { readonly table: string; readonly column: string },
): Promise<void> {
  const { rows } = await session.query<{ oid: number }>(
    'select $1::text::pg_catalog.regclass::pg_catalog.oid',
    [at.table],
  );
  await asVault(session, async () => {
    for (const entry of entries)
      for (const fact of entry.facts.sequences ?? []) {
        if (fact.column !== at.column) continue;
        const target = await lookForTarget(session, entry, undefined);
        if (target !== null && target.oid === rows[0]?.oid) await restoreSequence(session, fact, target);
      }
  });
}
