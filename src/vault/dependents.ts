import type { Session } from '../db/session.ts';

/** Something that PostgreSQL drops together with a table: a view on it, a foreign key to it, a function that takes its row. */
export interface Dependent {
  readonly type: string;
  readonly identity: string;
  readonly drop: string;
  /** Makes it again, where that can be told. */
  readonly definition: string | null;
  readonly classid: number;
  readonly objid: number;
  readonly objsubid: number;
  readonly isType: boolean;
}

/**
 * What depends on the tables and is no part of them, the nearest first. PostgreSQL's DROP takes all of it: where that
 * succeeded, this is what CASCADE took.
 */
export async function readDependents(session: Session, tables: readonly number[]): Promise<Dependent[]> {
  const { rows } = await session.query<Dependent>(dependentsSql, [tables]);
  return rows;
}

/** What an identity is called in a DROP where pg_identify_object has another word. */
const words = `case i.type when 'statistics object' then 'statistics' when 'composite type' then 'type' else i.type end`;

const dependentsSql = `
  with recursive gone(classid, objid, objsubid, depth) as (
    select 'pg_class'::regclass::oid, u.oid, 0, 0 from unnest($1::oid[]) u(oid)
    union
    -- What depends on it, and what it is an inner part of, as a view's rule is of the view.
    select n.classid, n.objid, n.objsubid, g.depth + 1
      from gone g cross join lateral (
        select d.classid, d.objid, d.objsubid from pg_depend d
         where d.refclassid = g.classid and d.refobjid = g.objid and (g.objsubid = 0 or d.refobjsubid = g.objsubid)
        union all
        select d.refclassid, d.refobjid, d.refobjsubid from pg_depend d
         where d.classid = g.classid and d.objid = g.objid and d.objsubid = g.objsubid and d.deptype = 'i' and g.depth > 0) n
     where g.depth < 60),
  one as (select classid, objid, objsubid, min(depth) as depth from gone group by 1, 2, 3)
  select i.type, i.identity, o.classid, o.objid, o.objsubid, o.classid = 'pg_type'::regclass as "isType",
    case
      when o.classid = 'pg_class'::regclass and o.objsubid <> 0 and c.relkind in ('r', 'p') then format('alter table %s drop column %I cascade', c.oid::regclass, ca.attname)
      when con.conrelid <> 0 then format('alter table %s drop constraint %I cascade', con.conrelid::regclass, con.conname)
      when con.contypid <> 0 then format('alter domain %s drop constraint %I cascade', con.contypid::regtype, con.conname)
      when def.oid is not null and da.attgenerated <> '' then format('alter table %s drop column %I cascade', def.adrelid::regclass, da.attname)
      when def.oid is not null then format('alter table %s alter column %I drop default', def.adrelid::regclass, da.attname)
      when o.classid = 'pg_class'::regclass and o.objsubid <> 0 then format('alter type %s drop attribute %I cascade', c.oid::regclass, ca.attname)
      else format('drop %s %s cascade', ${words}, i.identity)
    end as drop,
    case
      when con.conrelid <> 0 then format('alter table %s add constraint %I %s', con.conrelid::regclass, con.conname, pg_get_constraintdef(con.oid))
      when c.relkind = 'v' then format('create view %s as %s', c.oid::regclass, pg_get_viewdef(c.oid))
      when c.relkind = 'm' then format('create materialized view %s as %s', c.oid::regclass, pg_get_viewdef(c.oid))
      when p.prokind in ('f', 'p') then pg_get_functiondef(p.oid)
      when tg.oid is not null then pg_get_triggerdef(tg.oid)
      when ru.oid is not null then pg_get_ruledef(ru.oid)
    end as definition
  from one o cross join lateral pg_identify_object(o.classid, o.objid, o.objsubid) i
  left join pg_class c on o.classid = 'pg_class'::regclass and c.oid = o.objid
  left join pg_attribute ca on c.oid is not null and o.objsubid <> 0 and ca.attrelid = c.oid and ca.attnum = o.objsubid
  left join pg_constraint con on o.classid = 'pg_constraint'::regclass and con.oid = o.objid
  left join pg_attrdef def on o.classid = 'pg_attrdef'::regclass and def.oid = o.objid
  left join pg_attribute da on da.attrelid = def.adrelid and da.attnum = def.adnum
  left join pg_type t on o.classid = 'pg_type'::regclass and t.oid = o.objid
  left join pg_class tc on tc.oid = t.typrelid
  left join pg_trigger tg on o.classid = 'pg_trigger'::regclass and tg.oid = o.objid
  left join pg_rewrite ru on o.classid = 'pg_rewrite'::regclass and ru.oid = o.objid
  left join pg_proc p on o.classid = 'pg_proc'::regclass and p.oid = o.objid
  left join pg_index x on c.relkind in ('i', 'I') and x.indexrelid = c.oid
  where i.identity is not null and o.depth > 0
    and not (o.classid = 'pg_class'::regclass and (o.objid = any($1::oid[]) or c.relkind = 't'))
    and not coalesce(x.indrelid = any($1::oid[]), false)
    and not coalesce(x.indrelid in (select oid from pg_class where relkind = 't'), false)
    and not exists (select from pg_depend b where b.classid = 'pg_class'::regclass and b.objid = x.indexrelid and b.deptype in ('i', 'P'))
    and not coalesce(c.relkind = 'S' and exists (select from pg_depend b where b.classid = 'pg_class'::regclass and b.objid = c.oid
      and b.refclassid = 'pg_class'::regclass and b.refobjid = any($1::oid[]) and b.deptype in ('a', 'i')), false)
    and not coalesce(con.conrelid = any($1::oid[]), false)
    and not coalesce(con.conparentid <> 0, false)
    and not coalesce(def.adrelid = any($1::oid[]), false)
    and not coalesce(tg.tgisinternal or tg.tgparentid <> 0 or tg.tgrelid = any($1::oid[]), false)
    and not coalesce(ru.rulename = '_RETURN' or ru.ev_class = any($1::oid[]), false)
    -- Row types go with their relation, array types with their element.
    and not coalesce(tc.relkind <> 'c' or (t.typelem <> 0 and t.typlen = -1 and t.typsubscript = 'array_subscript_handler'::regproc), false)
    and not (t.oid is not null and t.typtype = 'm')
    and o.classid not in ('pg_publication_rel'::regclass, 'pg_policy'::regclass)
  or (o.classid = 'pg_policy'::regclass and o.depth > 0 and i.identity is not null
    and not exists (select from pg_policy pp where pp.oid = o.objid and pp.polrelid = any($1::oid[])))
  order by o.depth, o.classid, o.objid`;

/** Whether it is still there: what came before it in the list may have taken it along. */
export async function exists(session: Session, { classid, objid, objsubid }: Dependent): Promise<boolean> {
  const { rows } = await session.query<{ present: boolean }>(
    'select (pg_identify_object($1, $2, $3)).identity is not null as present',
    [classid, objid, objsubid],
  );
  return rows[0]?.present === true;
}
