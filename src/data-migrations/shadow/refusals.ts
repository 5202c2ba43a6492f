/** Tables whose place another one cannot take: each reason is known before anything is done. */
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import type { Table } from '../../vault/table.ts';

/**
 * In a transaction under our own search_path.
 * @throws AppError `SHADOW_REFUSED` with all reasons
 */
export async function refuseUnfit(session: Session, table: Table): Promise<void> {
  const { rows } = await session.query<{ reason: string }>(reasonsSql, [table.oid]);
  if (rows.length === 0) return;
  const reasons = rows.map(({ reason }) => reason);
  throw new AppError(
    'SHADOW_REFUSED',
    `No other table can take the place of ${table.schema}.${table.name}: ${reasons.join('; ')}. Nothing was done. Change that first, or the table by a migration.`,
    { table: `${table.schema}.${table.name}`, reasons },
  );
}

/** What is of use to nobody but the table itself, or is carried over. `v` are views that stand on it, directly or not. */
const reasonsSql = `
  with recursive t as (select * from pg_class where oid = $1),
  v(oid) as (
    select $1::oid
    union
    select r.ev_class from v join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = v.oid and d.classid = 'pg_rewrite'::regclass
      join pg_rewrite r on r.oid = d.objid and r.rulename = '_RETURN' join pg_class c on c.oid = r.ev_class and c.relkind = 'v')
  select 'it is partitioned' as reason from t where relkind = 'p'
  union all select 'it is a partition' from t where relispartition
  union all select 'it inherits from other tables, or others inherit from it' where exists (
    select from pg_inherits where inhrelid = $1 or inhparent = $1) and not (select relispartition or relkind = 'p' from t)
  union all select 'it is a table of a type' from t where reloftype <> 0
  union all select format('it belongs to the extension %I', e.extname) from pg_depend d join pg_extension e on e.oid = d.refobjid
    where d.classid = 'pg_class'::regclass and d.objid = $1 and d.deptype = 'e'
  union all select format('it has the rule %I', rulename) from pg_rewrite where ev_class = $1
  union all select 'its row security holds for the role of the data migration, which has to see every row' where row_security_active($1::oid)
  union all select format('the publication %I is FOR ALL TABLES: its subscribers would get tables that they do not have', pubname) from pg_publication where puballtables
  union all select 'a subscription writes to it: its statements fire no triggers for each statement' where exists (
    select from pg_subscription_rel where srrelid = $1)
  union all select format('%s is partitioned and has a foreign key to it, which PostgreSQL cannot add as NOT VALID', k.conrelid::regclass)
    from pg_constraint k join pg_class c on c.oid = k.conrelid and c.relkind = 'p' where k.contype = 'f' and k.confrelid = $1 and k.conparentid = 0
  union all
  select distinct format('%s depends on it', pg_describe_object(d.classid, d.objid, d.objsubid))
    from v join lateral (
      select d.* from pg_depend d where d.refclassid = 'pg_class'::regclass and d.refobjid = v.oid
      union all
      select d.* from pg_type y join pg_depend d on d.refclassid = 'pg_type'::regclass and d.refobjid in (y.oid, y.typarray) where y.typrelid = v.oid) d on true
    left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
    left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    left join pg_class w on w.oid = r.ev_class
    left join pg_policy p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
   where d.deptype in ('n', 'a')
     and not (d.classid = 'pg_class'::regclass and (c.oid in (select oid from v) or c.relkind in ('i', 'I', 't', 'S')))
     and d.classid not in ('pg_constraint'::regclass, 'pg_attrdef'::regclass, 'pg_trigger'::regclass, 'pg_statistic_ext'::regclass, 'pg_publication_rel'::regclass)
     and not (r.oid is not null and (r.rulename = '_RETURN' and w.relkind = 'v'))
     and not coalesce(p.polrelid = $1, false)
     and not (d.classid = 'pg_type'::regclass and exists (select from pg_type y where y.oid = d.objid and y.typrelid in (select oid from v)))`;
