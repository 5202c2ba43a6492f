/** The vaults of the registered databases. */
import type { Config, DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { type Session, withSession } from '../../db/session.ts';
import { parseTarget } from '../../db/target.ts';
import { AppError, type ErrorRecord, toAppError } from '../../errors.ts';
import type { VaultEntry } from '../../vault/entry.ts';
import { type Conflict, conflictCounts, listConflicts, listVault, readEntry } from '../../vault/list.ts';
import { removeEntry } from '../../vault/remove.ts';
import { removeExpired } from '../../vault/retention.ts';
import { databaseOf } from '../databases.ts';

/** One thing that was removed, and how it is kept. Times are the database's own. */
export interface KeptEntry
  extends Pick<
    VaultEntry,
    | 'id'
    | 'operation'
    | 'migration'
    | 'direction'
    | 'statement'
    | 'kind'
    | 'schema'
    | 'table'
    | 'columns'
    | 'rows'
    | 'bytes'
    | 'savedAt'
    | 'keepUntil'
    | 'state'
  > {
  /** How much of it could not be put back when that was tried last. */
  readonly conflicts: number;
}

interface VaultDependencies {
  readonly config: Config;
  readonly control: Control;
}

/**
 * What the vault of a database has, the newest first.
 * @throws AppError `DATABASE_UNKNOWN`, `DATABASE_UNREACHABLE`
 */
export const readVault = (
  { config }: Pick<VaultDependencies, 'config'>,
  name: string,
): Promise<KeptEntry[]> =>
  inDatabase(databaseOf(config, name), async (session) => {
    const counts = await conflictCounts(session);
    const entries = await listVault(session);
    return entries.map((entry) => entryOf(entry, counts.get(entry.id) ?? 0)).toReversed();
  });

/** @throws AppError `VAULT_ENTRY_NOT_FOUND`, `DATABASE_UNKNOWN`, `DATABASE_UNREACHABLE` */
export const readVaultEntry = (
  { config }: Pick<VaultDependencies, 'config'>,
  name: string,
  id: string,
): Promise<KeptEntry & { readonly examples: readonly Conflict[] }> =>
  inDatabase(databaseOf(config, name), async (session) => {
    const entry = await readEntry(session, id);
    const counts = await conflictCounts(session);
    return { ...entryOf(entry, counts.get(id) ?? 0), examples: await listConflicts(session, id) };
  });

/**
 * Removes what an entry keeps, for good.
 * @returns its line, which stays
 * @throws AppError `DATABASE_BUSY` while an operation may need it, `VAULT_ENTRY_NOT_FOUND`, `DATABASE_UNREACHABLE`
 */
export async function removeVaultEntry(
  { config, control }: VaultDependencies,
  name: string,
  id: string,
): Promise<KeptEntry> {
  const database = databaseOf(config, name);
  const busy = (await busyDatabases(control, [name])).get(name);
  if (busy !== undefined)
    throw new AppError(
      'DATABASE_BUSY',
      `${name} is busy: ${busy.kind} ${busy.id} may need what the vault keeps. Nothing was removed. Try again when it has finished.`,
      { database: name, job: busy.id, kind: busy.kind },
    );
  return inDatabase(database, async (session) => {
    await removeEntry(session, id);
    return entryOf(await readEntry(session, id), 0);
  });
}

/** The operations that may need what the vaults of these databases keep, by database. */
export async function busyDatabases(
  { prisma }: Control,
  names: readonly string[],
): Promise<ReadonlyMap<string, { readonly id: string; readonly kind: string }>> {
  const jobs = await prisma.job.findMany({
    where: { database: { in: [...names] }, exclusive: true, state: { in: ['queued', 'running'] } },
    select: { id: true, kind: true, database: true },
  });
  return new Map(jobs.map(({ id, kind, database }) => [database ?? '', { id, kind }]));
}

/** What was removed in one database because its retention had ended, or why nothing could be. */
export interface Expiry {
  readonly database: string;
  readonly removed: readonly string[];
  readonly error: ErrorRecord | null;
}

/** Removes what has outlived its retention. A database that cannot be reached is tried again the next time. */
export async function expireVault(database: DatabaseConfig): Promise<Expiry> {
  const { name } = database;
  try {
    const removed = await inDatabase(database, removeExpired);
    return { database: name, removed: removed.map(({ id }) => id), error: null };
  } catch (error) {
    const known = toAppError(error);
    if (known.code === 'INTERNAL') throw error;
    return { database: name, removed: [], error: known.toRecord() };
  }
}

const inDatabase = <T>({ url }: DatabaseConfig, work: (session: Session) => Promise<T>): Promise<T> =>
  withSession(
    parseTarget(url),
    { applicationName: 'switchback:vault', doing: 'looking into the vault' },
    work,
  );

const entryOf = (
  {
    id,
    operation,
    migration,
    direction,
    statement,
    kind,
    schema,
    table,
    columns,
    rows,
    bytes,
    savedAt,
    keepUntil,
    state,
  }: VaultEntry,
  conflicts: number,
): KeptEntry => ({
  ...{ id, operation, migration, direction, statement, kind, schema, table, columns },
  ...{ rows, bytes, savedAt, keepUntil, state, conflicts },
});
