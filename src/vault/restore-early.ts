import type { Session } from '../db/session.ts';
import { inSavepoint } from './as-vault.ts';
import type { VaultEntry } from './entry.ts';
import { byStatement, type RestoreOutcome, restoreEntries } from './restore.ts';

/**
 * Undoes changes of rows, inside the session's open transaction, the last first, up to the first statement that has done
 * more than change rows, or whose changes may find their place only when the schema is as it was.
 */
export async function restoreEarly(
  session: Session,
  entries: readonly VaultEntry[],
): Promise<RestoreOutcome[]> {
  const outcomes: RestoreOutcome[] = [];
  for (const group of byStatement(entries.toSorted((a, b) => b.number - a.number))) {
    if (group.some(({ kind }) => kind !== 'changes')) break;
    const ids = group.map(({ id }) => id);
    const made = await inSavepoint(session, () => restoreEntries(session, ids), isSettled);
    if (!isSettled(made)) break;
    outcomes.push(...made);
  }
  return outcomes;
}

/** These conflicts are with what the application has done: another schema would not settle them. */
const lasting = new Set(['rowGone', 'changedSince', 'referencedSince', 'keyReused']);

const isSettled = (outcomes: readonly RestoreOutcome[]): boolean =>
  outcomes.every(({ conflicts }) => Object.keys(conflicts).every((reason) => lasting.has(reason)));
