import { sqlstateOf } from '../db/errors.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { asVault } from './as-vault.ts';
import { Capture } from './capture.ts';
import type { NewEntry } from './entry.ts';
import { reachOf } from './reach.ts';
import type { Removal, Saved, VaultContext, WrittenName } from './removals.ts';
import { saveColumns } from './save-column.ts';
import { refuseOldSnapshot, saveDrop } from './save-drop.ts';
import { saveRows, truncated } from './save-rows.ts';
import { saveSequence } from './save-sequence.ts';
import { copyOldValues, recordMigrated } from './save-values.ts';
import { ensureVault } from './schema.ts';
import { readTable, readTables, resolve, resolveAll, type Table } from './table.ts';

/**
 * Keeps what a statement removes, inside the transaction in which the statement runs: both happen, or neither. It is
 * called before the statement, with the session as the migration has set it.
 * @throws AppError `VAULT_FULL`, `VAULT_CANNOT_KEEP`, and PostgreSQL's own where the statement would fail
 */
export async function save(session: Session, removal: Removal, context: VaultContext): Promise<Saved> {
  await asVault(session, () => ensureVault(session));
  switch (removal.kind) {
    case 'dropTables':
    case 'drop': {
      const { entries, moved } = await saveDrop(session, removal.sql, 'move', context);
      return saved(entries, removal.kind === 'dropTables' && moved);
    }
    case 'dropColumns':
      return saved(await dropColumns(session, removal.table, removal.columns, context));
    case 'values':
      return values(session, removal, context);
    case 'rows': {
      await refuseOldSnapshot(session);
      const oids = await resolveAll(session, removal.tables);
      return saved(
        await asVault(session, async () =>
          saveRows(session, await truncated(session, oids, removal.cascade), context),
        ),
      );
    }
    case 'sequence': {
      const oid = await resolve(session, removal.sequence);
      return saved(oid === null ? [] : [await asVault(session, () => saveSequence(session, oid, context))]);
    }
    case 'changes':
      return changes(session, await resolveAll(session, removal.tables), context);
    case 'opaque':
      return opaque(session, removal, context);
  }
}

const nothing = async (): Promise<void> => {};
const saved = (entries: readonly string[], replaces = false): Saved => ({
  entries,
  replaces,
  after: nothing,
  atEnd: nothing,
});

async function lockedTable(session: Session, written: WrittenName): Promise<Table | null> {
  await refuseOldSnapshot(session);
  const oid = await resolve(session, written);
  if (oid === null) return null;
  return asVault(session, async () => {
    const table = await readTable(session, oid);
    if (table === null || (table.kind !== 'r' && table.kind !== 'p') || table.temporary) return null;
    await session.query(`lock table ${table.sql} in access exclusive mode`);
    // Before the lock somebody may have changed it.
    return readTable(session, oid);
  });
}

/** The column goes from child tables, too, where they have it from this one only. */
async function dropColumns(
  session: Session,
  written: WrittenName,
  columns: readonly string[],
  context: VaultContext,
): Promise<string[]> {
  const table = await lockedTable(session, written);
  if (table === null) return [];
  return asVault(session, async () => {
    await refuseRowType(session, table);
    const entries = await saveColumns(session, table, columns, context);
    for (const { oid, names } of await inheritingColumns(session, table.oid, columns)) {
      const child = await readTable(session, oid);
      if (child !== null) entries.push(...(await saveColumns(session, child, names, context)));
    }
    return entries;
  });
}

/** Values of the table's row type, in other tables, lose the column as well, and cannot be given it back one by one. */
async function refuseRowType(session: Session, table: Table): Promise<void> {
  const { rows } = await session.query<{ column: string }>(
    `select (pg_identify_object(d.classid, d.objid, d.objsubid)).identity as column
       from pg_type t left join pg_type a on a.oid = t.typarray join pg_depend d on d.refclassid = 'pg_type'::regclass and d.refobjid in (t.oid, a.oid)
       join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid and c.relkind in ('r', 'p')
      where t.typrelid = $1 and d.objsubid > 0 order by 1`,
    [table.oid],
  );
  if (rows.length === 0) return;
  const uses = rows.map(({ column }) => column).join(', ');
  throw new AppError(
    'VAULT_CANNOT_KEEP',
    `${uses} has values of the row type of ${table.schema}.${table.name}: with the table's column these lose theirs, too. The transaction was rolled back. Give that column another type first, jsonb for example.`,
    { columns: rows.map(({ column }) => column) },
  );
}

async function inheritingColumns(
  session: Session,
  oid: number,
  columns: readonly string[],
): Promise<{ oid: number; names: string[] }[]> {
  const { rows } = await session.query<{ oid: number; names: string[] }>(
    `with recursive children(oid) as (
       select h.inhrelid from pg_inherits h join pg_class c on c.oid = h.inhrelid where h.inhparent = $1 and not c.relispartition
       union select h.inhrelid from children p join pg_inherits h on h.inhparent = p.oid)
     select a.attrelid as oid, array_agg(a.attname::text) as names from children c join pg_attribute a on a.attrelid = c.oid
      where a.attname::text = any($2::text[]) and a.attinhcount > 0 and not a.attislocal and not a.attisdropped group by 1 order by 1`,
    [oid, columns],
  );
  return rows;
}

async function values(
  session: Session,
  removal: Extract<Removal, { kind: 'values' }>,
  context: VaultContext,
): Promise<Saved> {
  const table = await lockedTable(session, removal.table);
  if (table === null) return saved([]);
  const copies = await asVault(session, async () => {
    const oids = [
      table.oid,
      ...(await inheritingColumns(session, table.oid, removal.columns)).map(({ oid }) => oid),
    ];
    const made: { oid: number; entry: NewEntry }[] = [];
    for (const one of await readTables(session, oids)) {
      const entry = await copyOldValues(session, one, removal.columns, removal.labels);
      if (entry !== null) made.push({ oid: one.oid, entry });
    }
    return made;
  });
  return {
    ...saved(copies.map(({ entry }) => entry.id)),
    after: () =>
      asVault(session, async () => {
        for (const { oid, entry } of copies) await recordMigrated(session, oid, entry, context);
      }),
  };
}

async function changes(
  session: Session,
  oids: readonly number[],
  context: VaultContext,
  but: ReadonlySet<number> = new Set(),
): Promise<Saved> {
  const capture = await asVault(session, async () => {
    const { tables, hidden } = await reachOf(session, oids);
    if (hidden.length > 0)
      throw new AppError(
        'VAULT_CANNOT_KEEP',
        `The statement fires triggers whose functions write where their text does not show it: ${hidden.join(', ')}. The transaction was rolled back. Switch these triggers off for the migration, or allow that their writes are not kept.`,
        { functions: hidden },
      );
    return Capture.start(
      session,
      await readTables(
        session,
        tables.filter((oid) => !but.has(oid)),
      ),
      context,
    );
  });
  return {
    get entries() {
      return capture.entries;
    },
    replaces: false,
    after: () => capture.stop(),
    atEnd: () => capture.end(),
  };
}

/** Text that only its execution reads: what it drops, empties or writes anew is copied, the rest is watched. */
async function opaque(
  session: Session,
  { sql, tables }: Extract<Removal, { kind: 'opaque' }>,
  context: VaultContext,
): Promise<Saved> {
  try {
    const { entries, touched } = await saveDrop(session, sql, 'copy', context);
    const watched = await changes(session, await resolveAll(session, tables), context, touched);
    return { ...watched, entries: [...entries, ...watched.entries] };
  } catch (error) {
    const sqlstate = sqlstateOf(error);
    if (sqlstate !== '2D000' && sqlstate !== '25001') throw error;
    throw new AppError(
      'VAULT_CANNOT_KEEP',
      'The statement commits by itself, so that what it removes cannot be saved together with it. Nothing was done. Take COMMIT and ROLLBACK out of its code, or put what it does into plain statements.',
      { sqlstate },
      { cause: error },
    );
  }
}
