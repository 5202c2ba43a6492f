import { sqlstateOf } from '../db/errors.ts';
import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { asVault } from './as-vault.ts';
import { Capture } from './capture.ts';
import type { NewEntry } from './entry.ts';
import { reachOf, resolveFunctions } from './reach.ts';
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
      const oid = await resolveSequence(session, removal);
      return saved(oid === null ? [] : [await asVault(session, () => saveSequence(session, oid, context))]);
    }
    case 'changes': {
      const oids = await resolveAll(session, removal.tables);
      if (removal.unlessPlain === true && (await arePlain(session, oids))) return saved([]);
      const functions = await resolveFunctions(session, removal.functions ?? []);
      return changes(session, await reached(session, oids, functions), context);
    }
    case 'opaque':
      return opaque(session, removal, context);
    case 'attributes':
      await refuseAttributes(session, removal.type);
      return saved([]);
    case 'unkept':
      throw new AppError(
        'VAULT_CANNOT_KEEP',
        `${removal.because} Nothing of that can be kept. The transaction was rolled back.`,
      );
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
      const entry = await copyOldValues(session, one, removal.columns, removal.labels, context);
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

/** Tables that a change of these can reach. */
async function reached(
  session: Session,
  oids: readonly number[],
  functions: readonly number[],
): Promise<readonly number[]> {
  const { tables, hidden } = await asVault(session, () => reachOf(session, oids, functions));
  if (hidden.length === 0) return tables;
  throw new AppError(
    'VAULT_CANNOT_KEEP',
    `The statement runs functions that write where their text does not show it: ${hidden.join(', ')}. The transaction was rolled back. Switch their triggers off for the migration, or allow that their writes are not kept.`,
    { functions: hidden },
  );
}

async function changes(session: Session, oids: readonly number[], context: VaultContext): Promise<Saved> {
  const capture = await asVault(session, async () =>
    Capture.start(session, await readTables(session, oids), context),
  );
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
  { sql, tables, functions = [] }: Extract<Removal, { kind: 'opaque' }>,
  context: VaultContext,
): Promise<Saved> {
  try {
    const dropped = await saveDrop(session, sql, 'copy', context);
    const shown = await resolveAll(session, tables);
    const called = await resolveFunctions(session, functions);
    // Where a text does not show what it writes, trying it has.
    const reach = await asVault(session, () => reachOf(session, [...shown, ...dropped.written], called));
    const watched = await changes(
      session,
      reach.tables.filter((oid) => !dropped.touched.has(oid)),
      context,
    );
    return {
      get entries() {
        return [...dropped.entries, ...watched.entries];
      },
      replaces: false,
      after: () => watched.after(),
      atEnd: () => watched.atEnd(),
    };
  } catch (error) {
    const sqlstate = sqlstateOf(error);
    if (sqlstate !== '2D000' && sqlstate !== '25001') throw error;
    throw new AppError(
      'VAULT_CANNOT_KEEP',
      'The statement commits by itself, so that what it removes cannot be saved together with it. Nothing was done. Take COMMIT and ROLLBACK out of its code, or put what it does into plain statements.',
      {},
      { cause: error },
    );
  }
}

/** Whether an UPDATE of these changes nothing but the columns that it names. */
async function arePlain(session: Session, oids: readonly number[]): Promise<boolean> {
  const { rows } = await session.query<{ plain: boolean }>(
    `with recursive tree(oid) as (
       select pg_catalog.unnest($1::pg_catalog.oid[])
       union select h.inhrelid from tree t join pg_catalog.pg_inherits h on h.inhparent = t.oid)
     select not exists (select from tree join pg_catalog.pg_trigger g on g.tgrelid = tree.oid where not g.tgisinternal and g.tgenabled <> 'D')
        and not exists (select from tree join pg_catalog.pg_class c on c.oid = tree.oid where c.relhasrules or c.relkind not in ('r', 'p')) as plain`,
    [oids],
  );
  return rows[0]?.plain === true;
}

async function resolveSequence(
  session: Session,
  { sequence, column }: Extract<Removal, { kind: 'sequence' }>,
): Promise<number | null> {
  const oid = await resolve(session, sequence);
  if (oid === null || column === undefined) return oid;
  const { rows } = await session.query<{ oid: number | null }>(
    `select d.objid as oid from pg_catalog.pg_depend d join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.refobjid = $1 and a.attname = $2 and d.deptype in ('a', 'i')
        and exists (select from pg_catalog.pg_class s where s.oid = d.objid and s.relkind = 'S')`,
    [oid, column],
  );
  return rows[0]?.oid ?? null;
}

/** What is kept of a value would lose the attribute together with the value. */
async function refuseAttributes(session: Session, { schema, name }: WrittenName): Promise<void> {
  const written = schema === null ? quoteIdentifier(name) : qualify(schema, name);
  const { rows } = await session.query<{ column: string }>(
    `with recursive holding(oid) as (
       select pg_catalog.to_regtype($1)::pg_catalog.oid
       union select t.oid from holding h join pg_catalog.pg_type t on t.typbasetype = h.oid or t.typelem = h.oid
               or exists (select from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.atttypid = h.oid and not a.attisdropped and t.typtype = 'c'))
     select pg_catalog.format('%s.%I', c.oid::pg_catalog.regclass, a.attname) as column
       from holding h join pg_catalog.pg_attribute a on a.atttypid = h.oid and not a.attisdropped
       join pg_catalog.pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'm') order by 1`,
    [written],
  );
  if (rows.length === 0) return;
  throw new AppError(
    'VAULT_CANNOT_KEEP',
    `Values of the type ${written} are in ${rows.map(({ column }) => column).join(', ')}: with the type they lose the attribute, and so would a copy of them. The transaction was rolled back. Copy the attribute into a column of its own first, and set it to NULL in the values.`,
    { columns: rows.map(({ column }) => column) },
  );
}
