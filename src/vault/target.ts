import type { Session } from '../db/session.ts';
import { isUserTriggerSql } from '../db/user-triggers.ts';
import { AppError } from '../errors.ts';
import type { VaultEntry } from './entry.ts';
import { readTable, resolve, type Table } from './table.ts';

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/**
 * The table into which an entry goes back: the one of its name, or for a partition that is not there any more the
 * table at the top.
 * @throws AppError `VAULT_TARGET_MISSING`
 */
export async function findTarget(
  session: Session,
  entry: VaultEntry,
  into: TableName | undefined,
): Promise<Table> {
  const found = await lookForTarget(session, entry, into);
  if (found !== null) return found;
  const { schema, name } = into ?? { schema: entry.schema, name: entry.table };
  throw missing(entry, `${schema}.${name}`);
}

/** The same; null where it is not there. */
export async function lookForTarget(
  session: Session,
  entry: VaultEntry,
  into: TableName | undefined,
): Promise<Table | null> {
  const own = { schema: entry.schema, name: entry.table };
  for (const name of into === undefined ? [own, entry.facts.root ?? own] : [into]) {
    const oid = await resolve(session, name);
    const table = oid === null ? null : await readTable(session, oid);
    if (table !== null && (table.kind === 'r' || table.kind === 'p')) return table;
  }
  return null;
}

export const missing = (entry: VaultEntry, what: string): AppError =>
  new AppError(
    'VAULT_TARGET_MISSING',
    `${what} is not there, so that what entry ${entry.id} keeps of ${entry.schema}.${entry.table} cannot be put back. Nothing changed. Make it again first.`,
    { id: entry.id, missing: what },
  );

/** For SQL: without child tables, whose rows have entries of their own. */
export const onlyOf = ({ kind, sql }: Table): string => (kind === 'p' ? sql : `only ${sql}`);

/**
 * Makes tables ready to take rows back: their triggers and rules would act on what is old, their foreign keys are looked
 * at when all rows are there. Returns what undoes it, and checks the foreign keys.
 * @param updated those of which rows are changed or go, too
 */
export async function prepareTargets(
  session: Session,
  tables: readonly Table[],
  updated: readonly Table[],
): Promise<() => Promise<void>> {
  await refuseHidden(session, tables);
  // PostgreSQL changes no table for which checks are still waiting.
  await session.query('set constraints all immediate');
  const { rows } = await session.query<{ before: string | null; check: string | null; after: string | null }>(
    preparationsSql,
    [tables.map(({ oid }) => oid), updated.map(({ oid }) => oid)],
  );
  const checks = rows.flatMap(({ check }) => (check === null ? [] : [check]));
  for (const { before } of rows) if (before !== null) await session.query(before);
  if (checks.length > 0) await session.query(`set constraints ${checks.join()} deferred`);
  return async () => {
    if (checks.length > 0) await session.query(`set constraints ${checks.join()} immediate`);
    for (const { after } of rows) if (after !== null) await session.query(after);
  };
}

/** Tables to which these point, and that point to them. */
const relatedSql = `select case when k.conrelid = any($1::oid[]) then k.confrelid else k.conrelid end from pg_constraint k
        where k.contype = 'f' and (k.conrelid = any($1::oid[]) or k.confrelid = any($1::oid[]))`;

/**
 * Rows that the role does not see can be neither looked for nor compared. What only holds the owner is taken off for the
 * time of the restore.
 * @throws AppError `PERMISSION_DENIED`
 */
async function refuseHidden(session: Session, tables: readonly Table[]): Promise<void> {
  const { rows } = await session.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
      where (c.oid = any($1::oid[]) or c.oid in (${relatedSql})) and row_security_active(c.oid) and not pg_has_role(c.relowner, 'usage') order by 1`,
    [tables.map(({ oid }) => oid)],
  );
  if (rows.length === 0) return;
  const names = rows.map(({ name }) => name);
  throw new AppError(
    'PERMISSION_DENIED',
    `Row level security hides rows of ${names.join(', ')} from the role of ${session.target.display}: what is put back has to be compared with them. Nothing changed. Give the role BYPASSRLS, or make it a member of the owner of these tables.`,
    { tables: names },
  );
}

const state = (column: string): string =>
  `case ${column} when 'R' then 'enable replica' when 'A' then 'enable always' else 'enable' end`;

const preparationsSql = `
  with recursive tree(oid) as (
    select unnest($1::oid[]) union select h.inhrelid from tree t join pg_inherits h on h.inhparent = t.oid join pg_class c on c.oid = h.inhrelid and c.relispartition),
  updated(oid) as (
    select unnest($2::oid[]) union select h.inhrelid from updated u join pg_inherits h on h.inhparent = u.oid),
  keys(oid, parent) as (
    select k.oid, k.conparentid from pg_constraint k where k.conrelid = any($1::oid[]) and k.contype = 'f'
    union select k.oid, k.conparentid from keys join pg_constraint k on k.oid = keys.parent)
  select format('alter table only %s disable trigger %I', g.tgrelid::regclass, g.tgname) as before, null as check,
         format('alter table only %s %s trigger %I', g.tgrelid::regclass, ${state('g.tgenabled')}, g.tgname) as after
    from tree join pg_trigger g on g.tgrelid = tree.oid where ${isUserTriggerSql('g')} and g.tgenabled <> 'D'
  union all
  select format('alter table only %s disable rule %I', r.ev_class::regclass, r.rulename), null,
         format('alter table only %s %s rule %I', r.ev_class::regclass, ${state('r.ev_enabled')}, r.rulename)
    from tree join pg_rewrite r on r.ev_class = tree.oid where r.ev_enabled <> 'D'
  union all
  select format('alter table only %s no force row level security', c.oid::regclass), null, format('alter table only %s force row level security', c.oid::regclass)
    from pg_class c where c.relforcerowsecurity and row_security_active(c.oid)
     and (c.oid in (select oid from tree) or c.oid in (${relatedSql}))
  union all
  -- Another table's constraint of the same name would be asked to wait as well, and may not be able to.
  select nullif(concat_ws('; ', case when x.twin then format('alter table %s rename constraint %I to %I', k.conrelid::regclass, k.conname, x.name) end,
           case when not k.condeferrable then format('alter table %s alter constraint %I deferrable', k.conrelid::regclass, x.name) end), ''),
         format('%I.%I', n.nspname, x.name),
         nullif(concat_ws('; ', case when not k.condeferrable then format('alter table %s alter constraint %I not deferrable', k.conrelid::regclass, x.name) end,
           case when x.twin then format('alter table %s rename constraint %I to %I', k.conrelid::regclass, x.name, k.conname) end), '')
    from pg_constraint k join pg_namespace n on n.oid = k.connamespace
    cross join lateral (select t.twin, case when t.twin then left(k.conname, 40) || ' of ' || k.conrelid else k.conname::text end as name
      from (select exists (select from pg_constraint o where o.connamespace = k.connamespace and o.conname = k.conname and o.oid <> k.oid and o.conparentid = 0 and not o.condeferrable) as twin) t) x
   where k.oid in (select oid from keys) and k.conparentid = 0
     and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
  union all
  -- The same where some columns are published, and not all that tell rows apart: nobody can change rows of such a table.
  select format('alter publication %I drop table only %s', p.pubname, c.oid::regclass), null,
         format('alter publication %I add table only %s (%s)%s', p.pubname, c.oid::regclass,
           (select string_agg(quote_ident(x), ', ') from jsonb_array_elements_text(to_jsonb(t) -> 'attnames') x), ' where (' || (to_jsonb(t) ->> 'rowfilter') || ')')
    from updated join pg_class c on c.oid = updated.oid and c.relkind = 'r' join pg_namespace n on n.oid = c.relnamespace
    join pg_publication_rel r on r.prrelid = c.oid join pg_publication p on p.oid = r.prpubid and (p.pubupdate or p.pubdelete)
    join pg_publication_tables t on t.pubname = p.pubname and t.schemaname = n.nspname and t.tablename = c.relname
   where to_jsonb(r) ->> 'prattrs' is not null
     and not exists (select from pg_index i where i.indrelid = c.oid and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end
           and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attnum = any(i.indkey) and not (to_jsonb(t) -> 'attnames') ? a.attname::text))
  union all
  -- PostgreSQL refuses to change rows of a published table by which a subscriber could not find them.
  select format('alter table only %s replica identity full', c.oid::regclass), null,
         format('alter table only %s replica identity %s', c.oid::regclass, case c.relreplident when 'n' then 'nothing' else 'default' end)
    from tree join pg_class c on c.oid = tree.oid and c.relkind = 'r'
   where (c.relreplident = 'n' or (c.relreplident = 'd' and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)))
     and exists (select from pg_publication_tables t where (t.schemaname, t.tablename) in
       (select n.nspname, a.relname from tree o join pg_class a on a.oid = o.oid join pg_namespace n on n.oid = a.relnamespace))
  union all
  -- Since 17 a partition has its identity columns from the table at the top.
  select distinct format('alter table %s alter column %I set generated by default', x.top::regclass, a.attname), null::text,
         format('alter table %s alter column %I set generated always', x.top::regclass, a.attname)
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    cross join lateral (select case when c.relispartition and current_setting('server_version_num')::int >= 170000 then pg_partition_root(c.oid)::oid else c.oid end as top) x
   where a.attrelid = any($1::oid[]) and a.attidentity = 'a' and not a.attisdropped`;

export interface ForeignKey {
  readonly name: string;
  readonly table: number;
  readonly parent: number;
  /** For SQL. */
  readonly tableSql: string;
  readonly parentSql: string;
  readonly columns: readonly string[];
  readonly parentColumns: readonly string[];
  /** For SQL, between a parent's column and this table's. */
  readonly operators: readonly string[];
  /** The last column is a period, which the parents' periods cover together. */
  readonly hasPeriod: boolean;
}

/** Foreign keys of a table, or to it, that are enforced. Those of partitions stand for themselves only in the table at the top. */
export async function readForeignKeys(
  session: Session,
  oid: number,
  which: 'of' | 'to',
): Promise<ForeignKey[]> {
  const { rows } = await session.query<ForeignKey>(
    `select k.conname as name, k.conrelid as table, k.confrelid as parent, k.conrelid::regclass::text as "tableSql", k.confrelid::regclass::text as "parentSql",
       (select json_agg(a.attname order by u.n) from unnest(k.conkey) with ordinality u(attnum, n) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum) as columns,
       (select json_agg(a.attname order by u.n) from unnest(k.confkey) with ordinality u(attnum, n) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum) as "parentColumns",
       (select json_agg(format('%I.%s', n.nspname, o.oprname) order by u.n) from unnest(k.conpfeqop) with ordinality u(oid, n) join pg_operator o on o.oid = u.oid join pg_namespace n on n.oid = o.oprnamespace) as operators,
       coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) as "hasPeriod"
      from pg_constraint k where ${which === 'of' ? 'k.conrelid' : 'k.confrelid'} = $1 and k.contype = 'f' and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
        and (k.conparentid = 0 or not exists (select from pg_constraint p where p.oid = k.conparentid and ${which === 'of' ? 'p.conrelid' : 'p.confrelid'} = $1))
      order by k.oid`,
    [oid],
  );
  return rows;
}
