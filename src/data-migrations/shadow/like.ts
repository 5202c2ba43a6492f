/**
 * Makes an empty table that is like another one in all that a table is made of: columns, defaults, constraints but for foreign
 * keys, indexes, storage, statistics targets, each under its own name. LIKE itself gives indexes other names, and leaves
 * out storage parameters, statistics targets, the replica identity and the owner.
 */
import { qualify, quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import type { Table } from '../../vault/table.ts';
import { runAll } from './transaction.ts';

/** In a transaction under our own search_path. The schema is made as well. */
export async function makeLike(session: Session, table: Table, schema: string): Promise<void> {
  const made = qualify(schema, table.name);
  const { rows } = await session.query<{ unlogged: boolean; method: string; tablespace: string | null }>(
    `select c.relpersistence = 'u' as unlogged, am.amname as method, s.spcname as tablespace
       from pg_class c join pg_am am on am.oid = c.relam left join pg_tablespace s on s.oid = c.reltablespace where c.oid = $1`,
    [table.oid],
  );
  const [how] = rows;
  await session.query(`create schema ${quoteIdentifier(schema)};
    create ${how?.unlogged === true ? 'unlogged ' : ''}table ${made}
      (like ${table.sql} including all excluding constraints excluding indexes excluding statistics)
      using ${quoteIdentifier(how?.method ?? 'heap')}${how?.tablespace == null ? '' : ` tablespace ${quoteIdentifier(how.tablespace)}`}`);
  for (const sql of [partsSql, identitiesSql]) {
    const found = await session.query<{ command: string }>(sql, [table.oid, made, schema]);
    await runAll(
      session,
      found.rows.map(({ command }) => command),
    );
  }
}

/** `$1`: the table, `$2`: the one that is made, for SQL, `$3`: its schema. */
const partsSql = `
  with t as (select c.*, format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1),
  index as (
    select i.*, c.relname, k.oid as "constraint", k.contype, k.condeferrable, k.condeferred,
           -- What PostgreSQL prints begins so; in place of the table stands the new one.
           case when i.indisunique then 'CREATE UNIQUE INDEX ' else 'CREATE INDEX ' end || quote_ident(c.relname) || ' ON ' as head
      from t join pg_index i on i.indrelid = t.oid and i.indisvalid join pg_class c on c.oid = i.indexrelid
      left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = t.oid and k.contype in ('p', 'u', 'x'))
  select command from (
    select 1 as n, k.conname as what, format('alter table %s add constraint %I %s', $2::text, k.conname, pg_get_constraintdef(k.oid)) as command
      from t join pg_constraint k on k.conrelid = t.oid and k.contype = 'c'
    union all
    select 2, relname, head || $2::text || substr(pg_get_indexdef(indexrelid), length(head || (select name from t)) + 1)
      from index where contype is null or (contype in ('p', 'u') and not indisexclusion)
    union all
    select 3, relname, case when contype in ('p', 'u') and not indisexclusion
        then format('alter table %s add constraint %I %s using index %I%s%s', $2::text, relname, case contype when 'p' then 'primary key' else 'unique' end, relname,
               case when condeferrable then ' deferrable' else '' end, case when condeferred then ' initially deferred' else '' end)
        else format('alter table %s add constraint %I %s', $2::text, relname, pg_get_constraintdef("constraint")) end
      from index where contype is not null
    union all
    select 4, a.attname, format('alter table %s alter column %I set statistics %s', $2::text, a.attname, to_jsonb(a) ->> 'attstattarget')
      from t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and (to_jsonb(a) ->> 'attstattarget')::int >= 0
    union all
    select 4, a.attname, format('alter table %s alter column %I set (%s)', $2::text, a.attname, array_to_string(a.attoptions, ', '))
      from t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attoptions is not null
    union all
    select 4, index.relname, format('alter index %I.%I alter column %s set statistics %s', $3::text, index.relname, a.attnum, to_jsonb(a) ->> 'attstattarget')
      from index join pg_attribute a on a.attrelid = index.indexrelid and (to_jsonb(a) ->> 'attstattarget')::int >= 0
    union all
    select 5, '', format('alter table %s set (%s)', $2::text, string_agg(o.part, ', '))
      from t cross join lateral (
        select unnest(t.reloptions) as part union all
        select 'toast.' || unnest(x.reloptions) from pg_class x where x.oid = t.reltoastrelid) o
     having count(*) > 0
    union all
    select 6, '', format('alter table %s replica identity %s', $2::text, case relreplident when 'f' then 'full' else 'nothing' end)
      from t where relreplident in ('f', 'n')
    union all
    select 6, relname, format('alter table %s replica identity using index %I', $2::text, relname) from index where indisreplident
    union all
    select 6, relname, format('alter table %s cluster on %I', $2::text, relname) from index where indisclustered
    union all
    select 7, relname, format('comment on index %I.%I is %L', $3::text, relname, d.description)
      from index join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = index.indexrelid and d.objsubid = 0
    union all
    select 7, k.conname, format('comment on constraint %I on %s is %L', k.conname, $2::text, d.description)
      from t join pg_constraint k on k.conrelid = t.oid and k.contype in ('c', 'p', 'u', 'x')
      join pg_description d on d.classoid = 'pg_constraint'::regclass and d.objoid = k.oid
    union all
    select 8, '', format('alter table %s owner to %I', $2::text, pg_get_userbyid(relowner)) from t where relowner <> current_user::regrole) part
  order by n, what`;

/** Sequences of identity columns have the names and types of the table's own: LIKE makes all of them bigint. */
const identitiesSql = `
  select format('alter sequence %s as %s%s', mine.objid::regclass, format_type(q.seqtypid, null),
           case when c.relname <> s.relname then format('; alter sequence %s rename to %I', mine.objid::regclass, s.relname) end) as command
    from pg_attribute a
    join pg_depend d on d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = $1 and d.refobjsubid = a.attnum and d.deptype = 'i'
    join pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_sequence q on q.seqrelid = s.oid
    join pg_attribute b on b.attrelid = $2::text::regclass and b.attname = a.attname
    join pg_depend mine on mine.classid = 'pg_class'::regclass and mine.refclassid = 'pg_class'::regclass and mine.refobjid = b.attrelid and mine.refobjsubid = b.attnum and mine.deptype = 'i'
    join pg_class c on c.oid = mine.objid and c.relkind = 'S'
   where a.attrelid = $1 and a.attidentity <> '' and $3::text is not null`;

/**
 * All that a table is made of, as a hash: where it is another one now, something was changed since. In a transaction under
 * our own search_path.
 */
export async function formOf(session: Session, oid: number): Promise<string> {
  const { rows } = await session.query<{ form: string }>(
    `select md5(coalesce(string_agg(part, E'\\n' order by part), '')) as form from (
       select format('column %s %s %s %s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation, a.attnotnull, a.attidentity, a.attgenerated,
                (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum)) as part
         from pg_attribute a where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
       union all
       select format('index %s %s %s', pg_get_indexdef(i.indexrelid), i.indisreplident, i.indisclustered) from pg_index i where i.indrelid = $1 and i.indisvalid
       union all
       select format('constraint %s %s', k.conname, pg_get_constraintdef(k.oid)) from pg_constraint k where k.conrelid = $1 and k.contype in ('c', 'p', 'u', 'x')
       union all
       select format('table %s %s', c.reloptions, c.relreplident) from pg_class c where c.oid = $1) parts`,
    [oid],
  );
  return rows[0]?.form ?? '';
}
