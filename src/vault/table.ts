import { qualify, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { ColumnFact, SequenceFact } from './entry.ts';
import type { WrittenName } from './removals.ts';

export interface Column {
  readonly name: string;
  readonly type: string;
  /** Without length, precision and the like: a cast to it cuts nothing off. */
  readonly plainType: string;
  /** For SQL: the operator that tells whether two values are the same, as a key on the column does. */
  readonly equals: string;
  /** Of pg_catalog: a type that nobody can drop. */
  readonly builtIn: boolean;
  /** What a domain stands on, if that is built in. */
  readonly base: string | null;
  /** A row type, or an array of one: as long as a column has it, the table of that name cannot be changed. */
  readonly composite: boolean;
  /** Has a collation that can be dropped. */
  readonly ownCollation: boolean;
  readonly generated: '' | 's' | 'v';
  readonly identity: '' | 'a' | 'd';
  readonly notNull: boolean;
}

/** A table as the catalogue has it now. */
export interface Table {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** For SQL. */
  readonly sql: string;
  /** r: table, p: partitioned, f: foreign. */
  readonly kind: string;
  readonly temporary: boolean;
  readonly isPartition: boolean;
  /** Of a partition: the partitioned tables above it. */
  readonly ancestors: readonly number[];
  readonly root: { readonly schema: string; readonly name: string } | null;
  /** Row security holds for its owner, too. */
  readonly forced: boolean;
  /** -1 where it is not known. */
  readonly estimatedRows: number;
  readonly columns: readonly Column[];
  /** Column lists by which a row can be found: the primary key first, then other unique ones without nulls. */
  readonly keys: readonly (readonly string[])[];
}

/** Oid of a relation, by the session's own search_path; null where there is none. */
export async function resolve(session: Session, { schema, name }: WrittenName): Promise<number | null> {
  const written = schema === null ? quoteIdentifier(name) : qualify(schema, name);
  const { rows } = await session.query<{ oid: number | null }>(
    'select pg_catalog.to_regclass($1)::pg_catalog.oid as oid',
    [written],
  );
  return rows[0]?.oid ?? null;
}

export async function resolveAll(session: Session, written: readonly WrittenName[]): Promise<number[]> {
  const oids: number[] = [];
  for (const name of written) {
    const oid = await resolve(session, name);
    if (oid !== null && !oids.includes(oid)) oids.push(oid);
  }
  return oids;
}

export async function readTable(session: Session, oid: number): Promise<Table | null> {
  return (await readTables(session, [oid]))[0] ?? null;
}

export async function readTables(session: Session, oids: readonly number[]): Promise<Table[]> {
  if (oids.length === 0) return [];
  const { rows } = await session.query<Omit<Table, 'sql'>>(tablesSql, [oids]);
  return rows.map((row) => ({ ...row, sql: qualify(row.schema, row.name) }));
}

const tablesSql = `
  select c.oid, n.nspname as schema, c.relname as name, c.relkind::text as kind, c.relpersistence = 't' as temporary,
    c.relispartition as "isPartition",
    array(select a.relid::oid::int8::float8 from pg_partition_ancestors(c.oid) a where c.relispartition and a.relid <> c.oid) as ancestors, c.relforcerowsecurity as forced, c.reltuples::float8 as "estimatedRows",
    case when c.relispartition then
      (select json_build_object('schema', rn.nspname, 'name', r.relname) from pg_class r join pg_namespace rn on rn.oid = r.relnamespace
        where r.oid = pg_partition_root(c.oid)) end as root,
    (select coalesce(json_agg(json_build_object(
        'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'plainType', format('%I.%I', tn.nspname, t.typname),
        'equals', coalesce((
          select format('%I.%s', n.nspname, o.oprname) from pg_opclass d join pg_am am on am.oid = d.opcmethod and am.amname = 'btree'
            join pg_amop e on e.amopfamily = d.opcfamily and e.amopstrategy = 3 and e.amoplefttype = d.opcintype and e.amoprighttype = d.opcintype
            join pg_operator o on o.oid = e.amopopr join pg_namespace n on n.oid = o.oprnamespace
           where d.opcdefault and d.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid)), 'pg_catalog.='),
        'builtIn', t.typnamespace = 'pg_catalog'::regnamespace,
        'base', (
          with recursive down(oid, kind, base, modifier, schema) as (
            select d.oid, d.typtype, d.typbasetype, d.typtypmod, d.typnamespace from pg_type d where d.oid = t.oid
            union all
            select d.oid, d.typtype, d.typbasetype, case when d.typtype = 'd' then d.typtypmod else down.modifier end, d.typnamespace
              from down join pg_type d on d.oid = down.base where down.kind = 'd')
          select format_type(down.oid, down.modifier) from down
           where down.kind <> 'd' and down.schema = 'pg_catalog'::regnamespace and t.typtype = 'd'),
        'composite', t.typtype = 'c' or coalesce((select e.typtype = 'c' from pg_type e where e.oid = coalesce(nullif(t.typelem, 0), t.typbasetype)), false),
        'ownCollation', coalesce(l.collnamespace <> 'pg_catalog'::regnamespace, false),
        'generated', a.attgenerated, 'identity', a.attidentity, 'notNull', a.attnotnull) order by a.attnum), '[]')
       from pg_attribute a join pg_type t on t.oid = a.atttypid join pg_namespace tn on tn.oid = t.typnamespace left join pg_collation l on l.oid = a.attcollation
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
    (select coalesce(json_agg(k.columns order by k.indisprimary desc, k.indnkeyatts, k.indexrelid), '[]')
       from (select i.indisprimary, i.indnkeyatts, i.indexrelid, json_agg(a.attname order by u.n) as columns
               from pg_index i cross join lateral unnest(i.indkey) with ordinality u(attnum, n)
               join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
              where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
                and i.indexprs is null and u.n <= i.indnkeyatts
              group by 1, 2, 3 having bool_and(a.attnotnull)) k) as keys
   from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = any($1::oid[]) order by c.oid`;

/** The first key that has none of the columns given. */
export const keyWithout = (table: Table, columns: readonly string[]): readonly string[] | null =>
  table.keys.find((key) => !key.some((name) => columns.includes(name))) ?? null;

export const columnFacts = (table: Table): ColumnFact[] =>
  table.columns.map(({ name, type, notNull, generated }) => ({
    name,
    type,
    notNull,
    generated: generated !== '',
  }));

/** A column's value as it is kept: in its own type and collation where these cannot go, else as text in the database's. */
export const keptValue = ({ name, builtIn, ownCollation }: Column, of = ''): string => {
  const value = `${of}${quoteIdentifier(name)}${builtIn ? '' : '::text'}`;
  return ownCollation ? `(${value} ${plainCollation})` : value;
};

/** A value as text that is like no other one, and depends on nothing that can be dropped. */
export const asText = (name: string, of = ''): string =>
  `(${of}${quoteIdentifier(name)}::text ${plainCollation})`;

const plainCollation = 'collate pg_catalog."default"';

/** Names and values of a row's columns as a JSON object of texts: `jsonb_build_object` takes no more than 50. */
export const asTexts = (names: readonly string[], of: string, keptAs: readonly string[] = names): string =>
  names.length === 0
    ? "'{}'::jsonb"
    : `jsonb_object(array[${keptAs.map(quoteLiteral).join()}]::text[], array[${names.map((name) => `${of}.${quoteIdentifier(name)}::text`).join()}]::text[])`;

/** Sequences that belong to columns of the table. */
export async function readOwnedSequences(session: Session, oid: number): Promise<SequenceFact[]> {
  const { rows } = await session.query<{ oid: number; column: string }>(
    `select d.objid as oid, a.attname as column
       from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
       join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = $1 and d.deptype in ('a', 'i')
      order by d.objid`,
    [oid],
  );
  const facts: SequenceFact[] = [];
  for (const row of rows) facts.push({ ...(await readSequence(session, row.oid)), column: row.column });
  return facts;
}

export async function readSequence(session: Session, oid: number): Promise<SequenceFact> {
  const { rows: found } = await session.query<{
    schema: string;
    name: string;
    definition: string;
    increment: string;
  }>(
    `select n.nspname as schema, c.relname as name, s.seqincrement::text as increment,
       format('create sequence %I.%I as %s start %s minvalue %s maxvalue %s increment %s cache %s%s', n.nspname, c.relname,
         format_type(s.seqtypid, null), s.seqstart, s.seqmin, s.seqmax, s.seqincrement, s.seqcache, case when s.seqcycle then ' cycle' else '' end) as definition
       from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace where c.oid = $1`,
    [oid],
  );
  const sequence = found[0] ?? { schema: '', name: '', definition: '', increment: '1' };
  const { rows } = await session.query<{ last_value: string; is_called: boolean }>(
    `select last_value::text, is_called from ${qualify(sequence.schema, sequence.name)}`,
  );
  return {
    ...sequence,
    column: null,
    lastValue: rows[0]?.last_value ?? '1',
    isCalled: rows[0]?.is_called ?? false,
  };
}
