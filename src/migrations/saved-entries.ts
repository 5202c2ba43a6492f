import type { Session } from '../db/session.ts';
import { entriesOf } from '../vault/list.ts';
import type { Direction } from '../vault/removals.ts';
import { readHistory } from './history.ts';

/**
 * Ids of the vault's entries that the run in the other direction gives back: `forth`, what applying the migration
 * removed, for its rollback; `back`, what its last rollback removed, for a deployment that takes that back.
 */
export async function savedEntries(
  session: Session,
  schema: string,
  migration: string,
  direction: Direction,
): Promise<string[]> {
  const { rows } = await readHistory(session, schema);
  const settled = rows
    .filter(({ name, finishedAt }) => name === migration && finishedAt !== null)
    .flatMap(({ finishedAt, rolledBackAt }) => (direction === 'forth' ? rolledBackAt : finishedAt) ?? []);
  return entriesOf(session, { migration, direction, since: latest(settled) });
}

const latest = (dates: readonly Date[]): Date | null =>
  dates.reduce<Date | null>((last, date) => (last === null || date > last ? date : last), null);
