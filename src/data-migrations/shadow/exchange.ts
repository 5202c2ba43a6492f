/**
 * Gives one table the place of another one, which goes to the vault, in one transaction. Afterwards the schema is as if the
 * table itself had been changed: whatever hung on it hangs on the one that has its name now, under the names that they had.
 */
import { sqlstateOf } from '../../db/errors.ts';
import { qualify, quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import { inSavepoint } from '../../vault/as-vault.ts';
import { inVault, nameEntry, record } from '../../vault/entry.ts';
import { readFacts } from '../../vault/save-table.ts';
import { ensureVault } from '../../vault/schema.ts';
import type { Table } from '../../vault/table.ts';
import { type Attachments, readAttachments } from './attachments.ts';
import { lockAll } from './locks.ts';
import type { Unvalidated, WayBack } from './state.ts';
import { runAll } from './transaction.ts';
import { readViews, remakeSql, type View } from './views.ts';

export interface ExchangeRequest {
  /** Of the data migration. */
  readonly id: string;
  readonly name: string;
  /** The table that goes. */
  readonly leaving: Table;
  /** The one that takes its place. */
  readonly coming: Table;
  /** Names in the vault of what belongs to the one that comes, if it has been there. */
  readonly names: WayBack['names'];
  /** SQL that gives its columns what they could not have while it was mirrored. */
  readonly restore: readonly string[];
  /** SQL of what has to go before the one that leaves is removed from the vault. */
  readonly beforeRemoval: readonly string[];
  readonly retentionDays: number;
  /** Once the tables are locked, before anything is done. */
  readonly checked: () => Promise<void>;
}

export interface Exchanged {
  /** Of the table that has left. */
  readonly wayBack: WayBack;
  readonly unvalidated: readonly Unvalidated[];
}

/**
 * In a transaction under our own search_path.
 * @throws AppError `LOCK_TIMEOUT`; what PostgreSQL says to what cannot be put on the table that comes
 */
export async function exchange(session: Session, request: ExchangeRequest): Promise<Exchanged> {
  const { leaving, coming, restore, checked } = request;
  const columns = coming.columns.map(({ name }) => name);
  const { others } = await readAttachments(session, leaving.oid, columns);
  const standing = await readViews(session, leaving.oid);
  // Whoever has the table goes on to the one that is mirrored, which must be free until then. In which order an application
  // goes through foreign keys nobody knows: one try in two comes from the right side.
  const tables = Math.random() < 0.5 ? [...others, leaving.sql] : [leaving.sql, ...others];
  const names = [...tables, coming.sql, ...standing.map(({ name }) => name)];
  await lockAll(session, names);
  await checked();
  await ensureVault(session);
  const attachments = await readAttachments(session, leaving.oid, columns);
  const views = await readViews(session, leaving.oid);
  const owner = await ownerOf(session, leaving);
  const kept = await takeAway(session, request, attachments);
  await runAll(session, [...comingSql(request), `alter table ${leaving.sql} owner to ${owner}`]);
  await runAll(session, [...(await countersSql(session, request)), ...attachments.on, ...restore]);
  await remake(session, views);
  return { wayBack: kept, unvalidated: attachments.unvalidated };
}

async function takeAway(
  session: Session,
  request: ExchangeRequest,
  attachments: Attachments,
): Promise<WayBack> {
  const { leaving, coming } = request;
  const facts = await readFacts(session, leaving);
  const { id, relation } = nameEntry('table');
  const names = await readNames(session, leaving, relation);
  const taken = await readTaken(session, leaving);
  // Default privileges may have granted something on it.
  const granted = await readAttachments(session, coming.oid, []);
  await runAll(session, [
    ...attachments.off,
    ...granted.off.filter((command) => command.startsWith('revoke ')),
    ...taken.map(({ off }) => off),
    ...names.map(
      ({ kind, kept, name }) => `alter ${kind} ${qualify(leaving.schema, name)} rename to ${kept}`,
    ),
    `alter table ${leaving.sql} rename to ${relation}`,
    `alter table ${qualify(leaving.schema, relation)} set schema switchback_vault`,
    `alter table ${inVault(relation)} owner to current_user`,
  ]);
  const entry = await record(
    session,
    {
      id,
      kind: 'table',
      schema: leaving.schema,
      table: leaving.name,
      relation,
      keyColumns: leaving.keys[0] ?? null,
      facts: { ...facts, beforeRemoval: request.beforeRemoval },
      rows: Math.max(0, leaving.estimatedRows),
    },
    {
      operation: request.id,
      // No folder has such a name: a rollback does not take it for its own.
      migration: `data migration ${request.name}`,
      direction: 'forth',
      statement: 1,
      retentionDays: request.retentionDays,
      limitBytes: null,
    },
  );
  return { entry, names, restore: taken.map(({ on }) => on) };
}

/** Indexes and sequences of identity columns, whose names the table that comes needs for its own. */
async function readNames(session: Session, { oid }: Table, relation: string): Promise<WayBack['names']> {
  const { rows } = await session.query<{ kind: 'index' | 'sequence'; name: string }>(
    `select 'index' as kind, c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = $1
     union all
     select 'sequence', s.relname from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
      where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = $1 and d.refobjsubid > 0 and d.deptype = 'i'
      order by 1, 2`,
    [oid],
  );
  return rows.map(({ kind, name }, n) => ({ kind, name, kept: `${relation}_${n + 1}` }));
}

/**
 * Defaults that ask a sequence: as long as one is there, the sequence could not be dropped with the table that owns it. And
 * ALWAYS of identity columns, to which an upsert cannot write.
 */
async function readTaken(session: Session, { oid }: Table): Promise<{ off: string; on: string }[]> {
  const { rows } = await session.query<{ off: string; on: string }>(
    `select format('alter table %I.%I alter column %I drop default', n.nspname, c.relname, a.attname) as off,
         format('alter table %I.%I alter column %I set default %s', n.nspname, c.relname, a.attname, pg_get_expr(f.adbin, f.adrelid)) as on
       from pg_attrdef f join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum and a.attgenerated = ''
       join pg_class c on c.oid = f.adrelid join pg_namespace n on n.oid = c.relnamespace
      where f.adrelid = $1 and exists (select from pg_depend d join pg_class s on s.oid = d.refobjid and s.relkind = 'S'
        where d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass)
     union all
     select format('alter table %I.%I alter column %I set generated by default', n.nspname, c.relname, a.attname), format('alter table %I.%I alter column %I set generated always', n.nspname, c.relname, a.attname)
       from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
      where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped and a.attidentity = 'a'`,
    [oid],
  );
  return rows;
}

function comingSql({ leaving, coming, names }: ExchangeRequest): string[] {
  const here = qualify(leaving.schema, coming.name);
  return [
    `alter table ${coming.sql} set schema ${quoteIdentifier(leaving.schema)}`,
    ...(coming.name === leaving.name
      ? []
      : [`alter table ${here} rename to ${quoteIdentifier(leaving.name)}`]),
    ...names.map(
      ({ kind, kept, name }) =>
        `alter ${kind} ${qualify(leaving.schema, kept)} rename to ${quoteIdentifier(name)}`,
    ),
  ];
}

/** For columns that were identity columns of the second kind while the table was mirrored. */
export const alwaysSql = (table: string, columns: readonly string[]): string[] =>
  columns.map((name) => `alter table ${table} alter column ${quoteIdentifier(name)} set generated always`);

async function ownerOf(session: Session, { oid }: Table): Promise<string> {
  const { rows } = await session.query<{ owner: string }>(
    'select quote_ident(pg_get_userbyid(relowner)) as owner from pg_class where oid = $1',
    [oid],
  );
  return rows[0]?.owner ?? 'current_user';
}

/** Identity columns go on counting where they are. */
async function countersSql(session: Session, { leaving, coming }: ExchangeRequest): Promise<string[]> {
  const { rows } = await session.query<{ command: string }>(
    `with sequences as (
       select d.refobjid as relation, a.attname, d.objid::regclass as sequence
         from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
         join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid and a.attidentity <> ''
        where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'i' and d.refobjid in ($1, $2))
     select format('select setval(%L, last_value, is_called) from %s', b.sequence, a.sequence) as command
       from sequences a join sequences b using (attname) where a.relation = $1 and b.relation = $2`,
    [leaving.oid, coming.oid],
  );
  return rows.map(({ command }) => command);
}

/** Replaced where their columns have the same types, so that nothing that hangs on them has to be made anew. */
async function remake(session: Session, views: readonly View[]): Promise<void> {
  if (views.length === 0) return;
  try {
    await inSavepoint(session, () =>
      runAll(
        session,
        views.map(({ replace }) => replace),
      ),
    );
  } catch (error) {
    // 42P16: a column of a view would get another type or another name.
    if (sqlstateOf(error) !== '42P16') throw error;
    await runAll(session, remakeSql(views));
  }
}
