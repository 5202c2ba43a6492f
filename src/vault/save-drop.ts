import { sqlstateOf } from '../db/errors.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { asVault, inSavepoint } from './as-vault.ts';
import { readDependents } from './dependents.ts';
import type { EntryFacts } from './entry.ts';
import { originIn } from './origins.ts';
import { type Gone, prove, touchesVault } from './prove.ts';
import type { VaultContext } from './removals.ts';
import { saveColumns } from './save-column.ts';
import { saveRows } from './save-rows.ts';
import { saveSequence } from './save-sequence.ts';
import { CannotMove, copyTable, moveTable, readFacts } from './save-table.ts';
import { dropDependents, freeColumns, strip, untie } from './strip.ts';
import { readTable, readTables, type Table } from './table.ts';

export interface DropSaved {
  readonly entries: string[];
  /** The tables are gone from where they were. */
  readonly moved: boolean;
  /** Tables that the statement drops, changes or empties. */
  readonly touched: ReadonlySet<number>;
  /** Tables whose rows it writes. */
  readonly written: readonly number[];
}

/**
 * Saves all that a statement drops: tables are moved, or copied where they cannot be moved; columns and sequences that
 * go with them are copied.
 * @param how whether the tables may be moved away before the statement runs
 */
export async function saveDrop(
  session: Session,
  sql: string,
  how: 'move' | 'copy',
  context: VaultContext,
): Promise<DropSaved> {
  const gone = await proveLocked(session, sql);
  const touched = new Set([...gone.tables, ...gone.rewritten, ...gone.columns.map(({ table }) => table)]);
  const seen = { touched, written: gone.written };
  return asVault(session, async () => {
    const tables = await readTables(session, gone.tables);
    const entries = [
      ...(await saveSequences(session, gone, tables, context)),
      ...(await saveGoneColumns(session, gone, context)),
    ];
    if (how === 'copy') {
      const staying = [...touched].filter((oid) => !gone.tables.includes(oid));
      entries.push(
        ...(await copyAll(session, tables, context)),
        ...(await saveRows(session, staying, context)),
      );
      return { entries, moved: false, ...seen };
    }
    try {
      const made = await inSavepoint(session, () => moveAll(session, tables, context));
      return { entries: [...entries, ...made], moved: true, ...seen };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const made = await copyAll(session, tables, context, reason);
      return { entries: [...entries, ...made], moved: false, ...seen };
    }
  });
}

/** Moving takes rights on more than the table: a refusal means that PostgreSQL is to drop it itself. */
const isRefusal = (error: unknown): boolean =>
  error instanceof CannotMove || /^(0A|2B|42|55006|55000|3F|28)/.test(sqlstateOf(error) ?? '');

/**
 * Taking the statement back lets go of its locks: the tables are locked to stay, and it is tried again, so that what was
 * found is what there is.
 */
async function proveLocked(session: Session, sql: string): Promise<Gone> {
  let gone = await prove(session, sql);
  const locked = new Set<number>();
  for (let tries = 0; tries < 5; tries += 1) {
    await refuseVault(session, gone);
    const open = [...gone.tables, ...gone.columns.map(({ table }) => table), ...gone.rewritten].filter(
      (oid) => !locked.has(oid),
    );
    if (open.length === 0) return gone;
    await asVault(session, () => lock(session, open));
    for (const oid of open) locked.add(oid);
    gone = await prove(session, sql);
  }
  throw new AppError(
    'VAULT_CANNOT_KEEP',
    'What the statement drops changes each time it is looked at. Nothing was done; deploy again when no other schema changes run.',
  );
}

async function refuseVault(session: Session, gone: Gone): Promise<void> {
  if (
    await touchesVault(session, [
      ...gone.tables,
      ...gone.columns.map(({ table }) => table),
      ...gone.rewritten,
    ])
  )
    throw new AppError(
      'VAULT_CANNOT_KEEP',
      'The statement drops the vault itself, or a part of it. The transaction was rolled back. Remove entries by their id instead.',
    );
}

async function lock(session: Session, oids: readonly number[]): Promise<void> {
  for (const table of await readTables(session, oids))
    if (table.kind !== 'f') await session.query(`lock table ${table.sql} in access exclusive mode`);
}

/** Those whose value is not part of a table's entry. */
async function saveSequences(
  session: Session,
  gone: Gone,
  tables: readonly Table[],
  context: VaultContext,
): Promise<string[]> {
  const withTable = tables.filter(({ kind }) => kind === 'r').map(({ oid }) => oid);
  const { rows } = await session.query<{ oid: number }>(
    `select s.oid from pg_class s where s.oid = any($1::oid[]) and s.relpersistence <> 't' and not exists (
       select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = s.oid and d.refclassid = 'pg_class'::regclass
         and d.deptype in ('a', 'i') and d.refobjid = any($2::oid[])) order by s.oid`,
    [gone.sequences, withTable],
  );
  const entries: string[] = [];
  for (const { oid } of rows) entries.push(await saveSequence(session, oid, context));
  return entries;
}

async function saveGoneColumns(session: Session, gone: Gone, context: VaultContext): Promise<string[]> {
  const entries: string[] = [];
  for (const oid of new Set(gone.columns.map(({ table }) => table))) {
    const table = await readTable(session, oid);
    // A partition's columns are saved with the table at the top.
    if (table === null || table.temporary || table.kind === 'f') continue;
    if (table.isPartition && gone.columns.some((other) => other.table !== oid)) continue;
    const columns = gone.columns.filter((column) => column.table === oid).map(({ name }) => name);
    entries.push(...(await saveColumns(session, table, columns, context)));
  }
  return entries;
}

const isKept = (table: Table, context: VaultContext): boolean =>
  table.kind === 'r' && !table.temporary && !originIn(context, table).made;

async function copyAll(
  session: Session,
  tables: readonly Table[],
  context: VaultContext,
  reason?: string,
): Promise<string[]> {
  await refuseOldSnapshot(session);
  const entries: string[] = [];
  for (const table of tables.filter((one) => isKept(one, context))) {
    const facts = await readFacts(session, table);
    entries.push(
      await copyTable(
        session,
        table,
        'table',
        reason === undefined ? facts : { ...facts, copiedBecause: reason },
        context,
      ),
    );
  }
  return entries;
}

async function moveAll(session: Session, tables: readonly Table[], context: VaultContext): Promise<string[]> {
  const oids = tables.map(({ oid }) => oid);
  const kept = tables.filter((one) => isKept(one, context));
  const dependents = await readDependents(session, oids);
  const alsoDropped = dependents.map(({ type, identity, definition }) => definition ?? `${type} ${identity}`);
  const facts: EntryFacts[] = [];
  for (const table of kept) facts.push({ ...(await readFacts(session, table)), alsoDropped });
  await untie(session, oids);
  await strip(session, kept);
  await dropDependents(session, oids, 'but types');
  for (const table of kept) await freeColumns(session, table, true);
  for (const table of kept) await freeColumns(session, table, false);
  await dropDependents(session, oids, 'types');
  for (const table of tables) if (!kept.includes(table)) await dropRest(session, table);
  const entries: string[] = [];
  for (const [index, table] of kept.entries())
    entries.push(await moveTable(session, table, facts[index] ?? {}, context));
  return entries;
}

/** What has no rows of its own that last, or none that are older than the migration. */
async function dropRest(session: Session, table: Table): Promise<void> {
  const word = table.kind === 'f' ? 'foreign table' : 'table';
  if ((await readTable(session, table.oid)) !== null)
    await session.query(`drop ${word} ${table.sql} cascade`);
}

/** A transaction that still sees the database as it began would copy less than the statement removes. */
export async function refuseOldSnapshot(session: Session): Promise<void> {
  const { rows } = await session.query<{ level: string }>(
    "select pg_catalog.current_setting('transaction_isolation') as level",
  );
  if (rows[0]?.level === 'read committed' || rows[0]?.level === 'read uncommitted') return;
  throw new AppError(
    'VAULT_CANNOT_KEEP',
    `The migration's transaction is ${rows[0]?.level}: it does not see rows that were committed after it began, and could not copy them. The transaction was rolled back. Leave the isolation level at READ COMMITTED.`,
    { isolation: rows[0]?.level },
  );
}
