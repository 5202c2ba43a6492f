import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { asVault } from './as-vault.ts';
import type { NewEntry } from './entry.ts';
import type { Removal, Saved, VaultContext, WrittenName } from './removals.ts';
import { refuseForeign, saveChanges, saveOpaque } from './save-changes.ts';
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
      const { entries, moved, touched } = await saveDrop(session, removal.sql, 'move', context);
      return { ...saved(entries, touched), replaces: removal.kind === 'dropTables' && moved };
    }
    case 'dropColumns':
      return saved(await dropColumns(session, removal.table, removal.columns, context));
    case 'values':
      return values(session, removal, context);
    case 'rows': {
      await refuseOldSnapshot(session);
      const named = await resolveAll(session, removal.tables);
      const alone = removal.tables.filter((table) => table.only === true);
      const only = await resolveAll(session, alone);
      await refuseForeign(session, named);
      return asVault(session, async () => {
        const oids = await truncated(session, named, removal.cascade, only);
        return saved(await saveRows(session, oids, context), oids);
      });
    }
    case 'sequence': {
      const oid = await resolveSequence(session, removal);
      return saved(oid === null ? [] : [await asVault(session, () => saveSequence(session, oid, context))]);
    }
    case 'changes':
      return saveChanges(session, removal, context);
    case 'opaque':
      return saveOpaque(session, removal, context);
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
const saved = (entries: readonly string[], keeps: Iterable<number> = []): Saved => ({
  entries,
  replaces: false,
  keeps: new Set(keeps),
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
