import { instantSql } from '../db/instant.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { readEntries, type VaultEntry } from './entry.ts';
import type { Direction, VaultContext } from './removals.ts';
import { vaultExists, vaultSchema } from './schema.ts';

/** What the vault has, the oldest first. Of a database without a vault: nothing. */
export async function listVault(session: Session): Promise<VaultEntry[]> {
  return (await vaultExists(session)) ? readEntries(session, 'true') : [];
}

/**
 * Ids of what the last run of a migration removed and the vault still keeps, in the order in which it was saved: what
 * the run in the other direction gives back. What one operation had begun another may have finished.
 * @param since entries that are older belong to a run that was settled
 */
export async function entriesOf(
  session: Session,
  { migration, direction, since }: { migration: string; direction: Direction; since: Date | null },
): Promise<string[]> {
  if (!(await vaultExists(session))) return [];
  const { rows } = await session.query<{ id: string }>(
    `select id from ${vaultSchema}.entry
      where migration = $1 and direction = $2 and state = 'kept' and ($3::timestamptz is null or saved_at > $3)
      order by number`,
    [migration, direction, since],
  );
  return rows.map(({ id }) => id);
}

/** Ids of all that an operation has saved of one migration. */
export async function savedBy(
  session: Session,
  { operation, migration, direction }: Pick<VaultContext, 'operation' | 'migration' | 'direction'>,
): Promise<string[]> {
  if (!(await vaultExists(session))) return [];
  const { rows } = await session.query<{ id: string }>(
    `select id from ${vaultSchema}.entry where operation = $1 and migration = $2 and direction = $3 order by number`,
    [operation, migration, direction],
  );
  return rows.map(({ id }) => id);
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

/** @throws AppError `VAULT_ENTRY_NOT_FOUND` */
export async function readAllEntries(session: Session, ids: readonly string[]): Promise<VaultEntry[]> {
  const entries: VaultEntry[] = [];
  for (const id of ids) entries.push(await readEntry(session, id));
  return entries;
}

/** Those of which the vault has nothing any more: they were removed, or somebody has dropped the relation by hand. */
export async function findGone(session: Session, entries: readonly VaultEntry[]): Promise<VaultEntry[]> {
  const relations = entries.flatMap(({ relation }) => relation ?? []);
  const { rows } = await session.query<{ relation: string }>(
    `select r.relation from pg_catalog.unnest($1::pg_catalog.text[]) r(relation)
      where not exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = '${vaultSchema}' and c.relname::pg_catalog.text = r.relation)`,
    [relations],
  );
  const dropped = new Set(rows.map(({ relation }) => relation));
  return entries.filter(
    ({ state, relation }) => state === 'removed' || (relation !== null && dropped.has(relation)),
  );
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
  const { rows } = await session.query<Omit<Conflict, 'foundAt'> & { foundAt: string }>(
    `select reason, detail, kept, ${instantSql('found_at')} as "foundAt" from ${vaultSchema}.conflict where entry::text = $1 order by id limit $2`,
    [id, limit],
  );
  return rows.map(({ foundAt, ...conflict }) => ({ ...conflict, foundAt: new Date(foundAt) }));
}

/** How many conflicts stand in the list of each entry that has any. */
export async function conflictCounts(session: Session): Promise<ReadonlyMap<string, number>> {
  if (!(await vaultExists(session))) return new Map();
  const { rows } = await session.query<{ entry: string; count: number }>(
    `select entry, pg_catalog.count(*)::pg_catalog.float8 as count from ${vaultSchema}.conflict group by entry`,
  );
  return new Map(rows.map(({ entry, count }) => [entry, count]));
}

/** Bytes that the vault holds. */
export async function heldBytes(session: Session): Promise<number> {
  if (!(await vaultExists(session))) return 0;
  const { rows } = await session.query<{ bytes: number }>(
    `select coalesce(pg_catalog.sum(bytes), 0)::pg_catalog.float8 as bytes from ${vaultSchema}.entry where state <> 'removed'`,
  );
  return rows[0]?.bytes ?? 0;
}
