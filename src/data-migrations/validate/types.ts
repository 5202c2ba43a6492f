import type { Session } from '../../db/session.ts';
import type { Table } from '../../vault/table.ts';
import type { ColumnType } from './comparison.ts';

interface TypeRow extends Omit<ColumnType, 'element'> {
  readonly element: Omit<ColumnType, 'element'> | null;
}

/** The types of values over a table's columns, domains resolved; in their order. */
export async function typesOf(
  session: Session,
  table: Table,
  values: readonly { readonly sql: string; readonly column: string | null }[],
): Promise<ColumnType[]> {
  if (values.length === 0) return [];
  const inner = values.map(({ sql }, n) => `${sql} as c${n}`).join(', ');
  const oids = values.map((_, n) => `pg_catalog.pg_typeof(x.c${n})::pg_catalog.oid`).join(', ');
  const { rows } = await session.query<TypeRow>(
    `with recursive asked as (
       select u.n, u.oid, coalesce(a.atttypmod, -1) as modifier
         from (select array[${oids}] as oids
                 from (select 1) one left join (select ${inner} from ${table.sql} limit 0) x on true) o
        cross join lateral unnest(o.oids, $1::text[]) with ordinality u(oid, name, n)
         left join pg_catalog.pg_attribute a on a.attrelid = $2::oid and a.attname = u.name and not a.attisdropped
     ), down as (
       select n, oid, modifier from asked
       union all
       select d.n, t.typbasetype, case when d.modifier >= 0 then d.modifier else t.typtypmod end
         from down d join pg_catalog.pg_type t on t.oid = d.oid and t.typtype = 'd'
     )
     select ${facts('t')}, d.modifier,
       (select json_build_object(${element}) from pg_catalog.pg_type e join pg_catalog.pg_namespace m on m.oid = e.typnamespace
         where e.oid = t.typelem and e.typarray = t.oid) as element
       from down d join pg_catalog.pg_type t on t.oid = d.oid and t.typtype <> 'd'
       join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      order by d.n`,
    [values.map(({ column }) => column), table.oid],
  );
  return rows.map((row) => ({ ...row, element: row.element && { ...row.element, element: null } }));
}

const facts = (t: string): string =>
  `n.nspname::text as schema, ${t}.typname::text as name, ${t}.typtype::text as kind,
   (select p.proname::text from pg_catalog.pg_proc p where p.oid = ${t}.typsend) as send`;
const element = `'schema', m.nspname, 'name', e.typname, 'kind', e.typtype, 'send', null, 'modifier', -1`;
