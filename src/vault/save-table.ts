import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { readDefinitions, serverVersionOf } from './definitions.ts';
import { type EntryFacts, inVault, nameEntry, record } from './entry.ts';
import { keyBy, type Origin, originIn } from './origins.ts';
import type { VaultContext } from './removals.ts';
import { vaultSchema } from './schema.ts';
import { columnFacts, keptValue, readOwnedSequences, type Table } from './table.ts';

/** What is to be known of a table later. To be read before anything is taken off it. */
export async function readFacts(session: Session, table: Table): Promise<EntryFacts> {
  return {
    columns: columnFacts(table),
    sequences: await readOwnedSequences(session, table.oid),
    root: table.root,
    definitions: await readDefinitions(session, table.oid, await serverVersionOf(session)),
  };
}

/** Moves a table from which everything has been taken off. */
export async function moveTable(
  session: Session,
  table: Table,
  facts: EntryFacts,
  context: VaultContext,
): Promise<string> {
  const { id, relation } = nameEntry('table');
  const { rows } = await session.query<{ taken: boolean }>(
    `select exists (select from pg_type where typname = $1 and typnamespace = '${vaultSchema}'::regnamespace) as taken`,
    [table.name],
  );
  const move = (from: string): string => `alter table ${from} set schema ${vaultSchema}`;
  const rename = (from: string): string => `alter table ${from} rename to ${relation}`;
  const renamed = `${quoteIdentifier(table.schema)}.${relation}`;
  await session.query(
    rows[0]?.taken === true
      ? `${rename(table.sql)}; ${move(renamed)}`
      : `${move(table.sql)}; ${rename(inVault(table.name))}`,
  );
  await session.query(`alter table ${inVault(relation)} owner to current_user`);
  await demandFree(session, table, relation);
  const origin = originIn(context, table);
  await renameColumns(session, table, origin, inVault(relation));
  const counted = table.estimatedRows >= 0 ? { rows: table.estimatedRows } : {};
  return record(
    session,
    {
      id,
      kind: 'table',
      schema: table.schema,
      table: table.name,
      relation,
      keyColumns: keyBy(table, origin),
      facts,
      origin,
      ...counted,
    },
    context,
  );
}

/** In two steps, since columns may have taken each other's names. What is kept under no name stays aside. */
async function renameColumns(
  session: Session,
  table: Table,
  { keptAs }: Origin,
  relation: string,
): Promise<void> {
  const renamed = table.columns.filter(({ name, generated }) => generated !== 'v' && keptAs(name) !== name);
  const aside = (number: number): string => quoteIdentifier(` aside ${number}`);
  const rename = (from: string, to: string): string =>
    `alter table ${relation} rename column ${from} to ${to}`;
  const commands = [
    ...renamed.map(({ name }, number) => rename(quoteIdentifier(name), aside(number))),
    ...renamed.flatMap(({ name }, number) => {
      const as = keptAs(name);
      return as === null ? [] : [rename(aside(number), quoteIdentifier(as))];
    }),
  ];
  if (commands.length > 0) await session.query(commands.join('; '));
}

/** The table has all its columns still, and nothing but the vault's schema holds it or is held by it. */
async function demandFree(session: Session, table: Table, relation: string): Promise<void> {
  const { rows } = await session.query<{ columns: string[]; ties: string[] }>(
    `select (select coalesce(array_agg(attname::text order by attnum), '{}') from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns,
       (select coalesce(array_agg(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)), '{}') from pg_depend d
         where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid not in ('pg_namespace'::regclass, 'pg_am'::regclass) and d.deptype <> 'i')
       || (select coalesce(array_agg(pg_describe_object(d.classid, d.objid, d.objsubid)), '{}') from pg_depend d
         where d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and not (d.classid = 'pg_type'::regclass and d.deptype = 'i')
           and not exists (select from pg_class t where d.classid = 'pg_class'::regclass and t.oid = d.objid and t.relkind = 't')
           and not exists (select from pg_constraint n where d.classid = 'pg_constraint'::regclass and n.oid = d.objid and n.contype = 'n')) as ties
      from pg_class c where c.oid = $1`,
    [table.oid],
  );
  const expected = table.columns.filter(({ generated }) => generated !== 'v').map(({ name }) => name);
  const found = rows[0];
  if (found === undefined || found.columns.join('\0') !== expected.join('\0') || found.ties.length > 0)
    throw new CannotMove(
      `${table.sql} as ${relation}: ${found === undefined || found.ties.length === 0 ? 'columns went with something else' : `it is still tied to ${found.ties.join(', ')}`}`,
    );
}

/** A table that can only be copied. */
export class CannotMove extends Error {}

/** Copies a table that PostgreSQL then drops or empties. It must be locked against writes. */
export async function copyTable(
  session: Session,
  table: Table,
  kind: 'table' | 'rows',
  facts: EntryFacts,
  context: VaultContext,
): Promise<string> {
  const { id, relation } = nameEntry(kind);
  const origin = originIn(context, table);
  const columns = table.columns.flatMap((column) => {
    const as = column.generated === 'v' ? null : origin.keptAs(column.name);
    return as === null ? [] : [`${keptValue(column)} as ${quoteIdentifier(as)}`];
  });
  // Of a partitioned table the rows are in its partitions; those of child tables are saved with these.
  const only = table.kind === 'p' ? '' : 'only ';
  const { rowCount } = await readingAll(session, table, () =>
    session.query(`create table ${inVault(relation)} as select ${columns.join()} from ${only}${table.sql}`),
  );
  return record(
    session,
    {
      id,
      kind,
      schema: table.schema,
      table: table.name,
      relation,
      keyColumns: keyBy(table, origin),
      facts,
      origin,
      rows: rowCount,
    },
    context,
  );
}

/** Row security that holds for the owner would hide rows from us; with `row_security = off` it is an error instead. */
export async function readingAll<T>(session: Session, table: Table, work: () => Promise<T>): Promise<T> {
  if (!table.forced) return work();
  await session.query(`alter table ${table.sql} no force row level security`);
  const result = await work();
  await session.query(`alter table ${table.sql} force row level security`);
  return result;
}
