/** What the rows of a live database are read by: its tables, and what points where. */
import type { Session } from '../../db/session.ts';

export interface LiveTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** For SQL. */
  readonly sql: string;
  /** Those that can be written, with their types as SQL. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly foreignKeys: readonly LiveKey[];
}

export interface LiveKey {
  readonly columns: readonly string[];
  /** For SQL. */
  readonly parent: string;
  readonly parentColumns: readonly string[];
}

export interface LiveSequence {
  readonly sql: string;
  readonly value: string;
  readonly isCalled: boolean;
}

/** Tables that hold rows themselves, but for Prisma's history and ours; under an empty search_path. */
export async function readLiveTables(session: Session): Promise<LiveTable[]> {
  const { rows } = await session.query<LiveTable>(`
    select c.oid, n.nspname as schema, c.relname as name, pg_catalog.format('%I.%I', n.nspname, c.relname) as sql,
      coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod)) order by a.attnum)
          from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''), '[]') as columns,
      coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('columns', ${names('k.conrelid', 'k.conkey')},
                 'parent', k.confrelid::pg_catalog.regclass::text, 'parentColumns', ${names('k.confrelid', 'k.confkey')}))
          from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype = 'f'
           and (k.conparentid = 0 or not exists (select from pg_catalog.pg_constraint p where p.oid = k.conparentid and p.conrelid = c.oid))), '[]') as "foreignKeys"
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^(pg_|switchback_vault)'
       and n.nspname not in ('information_schema', 'switchback') and c.relname <> '_prisma_migrations'
       and not exists (select from pg_catalog.pg_depend d
                        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
     order by 2, 3`);
  return rows;
}

const names = (table: string, key: string): string =>
  `(select pg_catalog.json_agg(a.attname order by u.n) from pg_catalog.unnest(${key}) with ordinality u(attnum, n)
      join pg_catalog.pg_attribute a on a.attrelid = ${table} and a.attnum = u.attnum)`;

/** Those that were used. */
export async function readLiveSequences(session: Session): Promise<LiveSequence[]> {
  const { rows } = await session.query<{ sql: string }>(
    `select pg_catalog.format('%I.%I', schemaname, sequencename) as sql from pg_catalog.pg_sequences
      where last_value is not null and schemaname not in ('switchback', 'switchback_vault')`,
  );
  const sequences: LiveSequence[] = [];
  for (const { sql } of rows) {
    const found = await session.query<Omit<LiveSequence, 'sql'>>(
      `select last_value::text as value, is_called as "isCalled" from ${sql}`,
    );
    sequences.push(...found.rows.map((row) => ({ sql, ...row })));
  }
  return sequences;
}
