import { sqlstateOf } from '../db/errors.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { asVault, inSavepoint } from './as-vault.ts';
import type { VaultEntry } from './entry.ts';
import { findGone, readEntry } from './list.ts';
import { RestoreAttempt, type RestoreOutcome } from './restore-attempt.ts';
import { vaultSchema } from './schema.ts';
import type { TableName } from './target.ts';
import { type Unfit, Work } from './work.ts';

export type { RestoreOutcome } from './restore-attempt.ts';

export interface RestoreOptions {
  /** Where to put an entry's data, if not into the table of its name. */
  readonly into?: ReadonlyMap<string, TableName>;
  /** Entries whose columns were added in this transaction, so that nobody can have written to them, or emptied in it. */
  readonly made?: ReadonlyMap<string, 'added' | 'emptied'>;
  /** Of entries whose columns were given another type in this transaction: the entry that keeps what stood in them then. */
  readonly copies?: ReadonlyMap<string, VaultEntry>;
}

/**
 * Puts back what entries keep, inside the session's open transaction, the last saved first. What the application has
 * done since stays: a row or a value that is in its way is not put back, and stands in the vault's list of conflicts.
 * What an entry keeps stays in the vault until its retention ends.
 * @throws AppError `VAULT_ENTRY_NOT_FOUND`, `VAULT_ENTRY_REMOVED`, `VAULT_TARGET_MISSING`
 */
export async function restoreEntries(
  session: Session,
  ids: readonly string[],
  options: RestoreOptions = {},
): Promise<RestoreOutcome[]> {
  // A migration that works in another role's name has no right to look into the vault.
  return asVault(session, async () => {
    const entries: VaultEntry[] = [];
    for (const id of new Set(ids)) entries.push(await readEntry(session, id));
    refuseGone(await findGone(session, entries));
    entries.sort((a, b) => b.number - a.number);
    await session.query(`delete from ${vaultSchema}.conflict where entry = any($1::uuid[])`, [
      entries.map(({ id }) => id),
    ]);
    // Of a row that turns out not to fit, the rows that point to it must stay out, too: then it is begun anew without it.
    for (let [unfit, tries]: [readonly Unfit[], number] = [[], 1]; ; ) {
      const known = unfit;
      try {
        const attempt = await inSavepoint(
          session,
          () => tryRestore(session, entries, { ...options, sureOnly: tries > 1 }, known),
          (made) => made.outcomes !== null,
        );
        if (attempt.outcomes !== null) return attempt.outcomes;
        unfit = attempt.unfit;
      } catch (error) {
        // A row to which something points was deleted after it was looked for, or did not come back.
        if (sqlstateOf(error) !== '23503' || tries >= 3) throw error;
        tries += 1;
      }
    }
  });
}

interface Attempt {
  readonly outcomes: RestoreOutcome[] | null;
  readonly unfit: readonly Unfit[];
}

async function tryRestore(
  session: Session,
  entries: readonly VaultEntry[],
  options: RestoreOptions & { readonly sureOnly: boolean },
  known: readonly Unfit[],
): Promise<Attempt> {
  const work = await Work.open(session);
  await work.leaveUnfit(known);
  const restore = new RestoreAttempt(session, work, options);
  await restore.prepare(entries, options.into ?? new Map());
  const outcomes: RestoreOutcome[] = [];
  for (const group of byStatement(entries)) outcomes.push(...(await restore.group(group)));
  if (restore.unfit.length > known.length) return { outcomes: null, unfit: restore.unfit };
  await restore.finish();
  await work.close();
  return { outcomes, unfit: [] };
}

export async function restoreEntry(
  session: Session,
  id: string,
  options: RestoreOptions = {},
): Promise<RestoreOutcome> {
  const [outcome] = await restoreEntries(session, [id], options);
  if (outcome === undefined)
    throw new AppError('VAULT_ENTRY_NOT_FOUND', `The vault has no entry ${id}.`, { id });
  return outcome;
}

function refuseGone([entry]: readonly VaultEntry[]): void {
  if (entry === undefined) return;
  const { id, state, schema, table, savedAt } = entry;
  throw new AppError(
    'VAULT_ENTRY_REMOVED',
    `What entry ${id} kept of ${schema}.${table} ${state === 'removed' ? 'was removed from the vault' : 'is gone: somebody has dropped its relation by hand'}, so that it cannot be put back. Nothing changed. A backup from before ${savedAt.toISOString()} has the data.`,
    { id },
  );
}

/** Entries of one statement belong together: rows of one table may point to those of another. */
export function byStatement(entries: readonly VaultEntry[]): VaultEntry[][] {
  const groups: VaultEntry[][] = [];
  for (const entry of entries) {
    const group = groups.at(-1);
    const first = group?.[0];
    const together =
      first?.operation === entry.operation &&
      first.migration === entry.migration &&
      first.statement === entry.statement;
    if (together) group?.push(entry);
    else groups.push([entry]);
  }
  return groups;
}
