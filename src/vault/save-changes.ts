import { sqlstateOf } from '../db/errors.ts';
import type { Session } from '../db/session.ts';
import { isUserTriggerSql } from '../db/user-triggers.ts';
import { AppError } from '../errors.ts';
import { asVault } from './as-vault.ts';
import { Capture } from './capture.ts';
import { foreignTables, reachOf, resolveFunctions } from './reach.ts';
import type { Removal, Saved, VaultContext } from './removals.ts';
import { saveDrop } from './save-drop.ts';
import { truncated } from './save-rows.ts';
import { readPositions, saveSetBack } from './save-sequence.ts';
import { readTables, resolveAll } from './table.ts';

/** Rows that the statement changes, and whatever its triggers change, are watched while it runs. */
export async function saveChanges(
  session: Session,
  removal: Extract<Removal, { kind: 'changes' }>,
  context: VaultContext,
): Promise<Saved> {
  const oids = await resolveAll(session, removal.tables);
  await refuseForeign(session, oids);
  if (removal.unlessPlain === true && (await arePlain(session, oids))) {
    const keeps = new Set(await asVault(session, () => truncated(session, oids, false)));
    return { entries: [], replaces: false, keeps, after: nothing, atEnd: nothing };
  }
  const functions = await resolveFunctions(session, removal.functions ?? []);
  return watching(session, await reached(session, oids, functions), context);
}

const nothing = async (): Promise<void> => {};

/** Text that only its execution reads: what it drops, empties or writes anew is copied, the rest is watched. */
export async function saveOpaque(
  session: Session,
  { sql, tables, functions = [] }: Extract<Removal, { kind: 'opaque' }>,
  context: VaultContext,
): Promise<Saved> {
  const shown = await resolveAll(session, tables);
  const called = await resolveFunctions(session, functions);
  const { code, unbounded, ...seen } = await asVault(session, () => reachOf(session, shown, called, sql));
  await refuseForeign(session, shown, code);
  // Tried, it would act twice: what its text shows is watched, and the counters show whether that was all.
  if ((unbounded || code.some((one) => context.actsOutside?.(one))) && (await countsWrites(session)))
    return watching(session, seen.tables, context);
  try {
    const sequences = await asVault(session, () => readPositions(session));
    const dropped = await saveDrop(session, sql, 'copy', context);
    const setBack = await asVault(session, () => saveSetBack(session, sequences, context));
    // Where a text does not show what it writes, trying it has.
    const reach = await asVault(session, () => reachOf(session, [...shown, ...dropped.written], called));
    const watched = await watching(
      session,
      reach.tables.filter((oid) => !dropped.touched.has(oid)),
      context,
    );
    return {
      get entries() {
        return [...dropped.entries, ...setBack, ...watched.entries];
      },
      replaces: false,
      keeps: new Set([...watched.keeps, ...dropped.touched]),
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

/** Tables that a change of these can reach. Where code hides what it writes, PostgreSQL's counters show it afterwards. */
async function reached(
  session: Session,
  oids: readonly number[],
  functions: readonly number[],
): Promise<readonly number[]> {
  const { tables, hidden } = await asVault(session, () => reachOf(session, oids, functions));
  if (hidden.length === 0 || (await countsWrites(session))) return tables;
  throw new AppError(
    'VAULT_CANNOT_KEEP',
    `The statement runs functions that write where their text does not show it: ${hidden.join(', ')}. The transaction was rolled back. Switch their triggers off for the migration, or allow that their writes are not kept.`,
    { functions: hidden },
  );
}

async function watching(session: Session, oids: readonly number[], context: VaultContext): Promise<Saved> {
  const { capture, watched } = await asVault(session, async () => {
    const watched = (await countsWrites(session)) ? await ownTables(session, oids) : oids;
    return { watched, capture: await Capture.start(session, await readTables(session, watched), context) };
  });
  return {
    get entries() {
      return capture.entries;
    },
    replaces: false,
    keeps: new Set(watched),
    after: () => capture.stop(),
    atEnd: () => capture.end(),
  };
}

/** @throws AppError `VAULT_CANNOT_KEEP` */
export async function refuseForeign(
  session: Session,
  oids: readonly number[],
  code: readonly string[] = [],
): Promise<void> {
  const found = await asVault(session, () => foreignTables(session, oids, code));
  if (found.length === 0) return;
  throw new AppError(
    'VAULT_CANNOT_KEEP',
    `It writes to ${found.join(', ')}, whose rows are on another server: what it removes there cannot be kept. The transaction was rolled back. Change these rows where they are, or allow that they are not kept.`,
    { tables: found },
  );
}

/** Whether PostgreSQL counts the rows that are written. */
async function countsWrites(session: Session): Promise<boolean> {
  const { rows } = await session.query<{ counted: string }>(
    "select pg_catalog.current_setting('track_counts') as counted",
  );
  return rows[0]?.counted === 'on';
}

/** Those that may be given a trigger. What is written to the others is counted, and found out. */
async function ownTables(session: Session, oids: readonly number[]): Promise<number[]> {
  const { rows } = await session.query<{ oid: number }>(
    `select c.oid from pg_class c where c.oid = any($1::oid[]) and has_table_privilege(c.oid, 'TRIGGER') order by c.oid`,
    [oids],
  );
  return rows.map(({ oid }) => oid);
}

/** Whether an UPDATE of these changes nothing but the columns that it names. */
async function arePlain(session: Session, oids: readonly number[]): Promise<boolean> {
  const { rows } = await session.query<{ plain: boolean }>(
    `with recursive tree(oid) as (
       select pg_catalog.unnest($1::pg_catalog.oid[])
       union select h.inhrelid from tree t join pg_catalog.pg_inherits h on h.inhparent = t.oid)
     select not exists (select from tree join pg_catalog.pg_trigger g on g.tgrelid = tree.oid where ${isUserTriggerSql('g')} and g.tgenabled <> 'D')
        and not exists (select from tree join pg_catalog.pg_class c on c.oid = tree.oid where c.relhasrules or c.relkind not in ('r', 'p')) as plain`,
    [oids],
  );
  return rows[0]?.plain === true;
}
