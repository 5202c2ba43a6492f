/** Reads rows of a live database, within one transaction that sees one moment. */
import { quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import type { LiveKey, LiveTable } from './live.ts';

/** A row's values as texts, in the order of the table's columns. */
export type LiveRow = readonly (string | null)[];

export interface Batch {
  readonly table: LiveTable;
  readonly rows: readonly LiveRow[];
}

const batchSize = 1_000;

const valuesOf = ({ columns }: LiveTable, of: string): string =>
  `array[${columns.map(({ name }) => `${of}.${quoteIdentifier(name)}::text`).join()}]::text[]`;

/** All rows, some at a time. */
export async function* readAll(session: Session, tables: readonly LiveTable[]): AsyncGenerator<Batch> {
  for (const table of tables) {
    await session.query(
      `declare switchback_rows no scroll cursor for select ${valuesOf(table, 't')} as values from only ${table.sql} t`,
    );
    for (;;) {
      const { rows } = await session.query<{ values: LiveRow }>(`fetch ${batchSize} from switchback_rows`);
      if (rows.length === 0) break;
      yield { table, rows: rows.map(({ values }) => values) };
    }
    await session.query('close switchback_rows');
  }
}

interface Found {
  readonly oid: number;
  readonly place: string;
  readonly values: LiveRow;
}

/** So many rows of each table, and the rows that these point to, and those that these point to. */
export async function* readSample(
  session: Session,
  tables: readonly LiveTable[],
  rowsPerTable: number,
): AsyncGenerator<Batch> {
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  const seen = new Set<string>();
  const news = (found: readonly Found[]): Found[] =>
    found.filter(({ oid, place }) => seen.size < seen.add(`${oid} ${place}`).size);
  for (const table of tables) {
    const { rows } = await session.query<Found>(
      `select ${table.oid}::pg_catalog.oid as oid, t.ctid::text as place, ${valuesOf(table, 't')} as values
         from only ${table.sql} t limit ${rowsPerTable}`,
    );
    const waiting = [{ table, found: news(rows) }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      yield { table: next.table, rows: next.found.map(({ values }) => values) };
      for (const key of next.table.foreignKeys)
        for (const parents of await readParents(session, next, key, byOid))
          waiting.push({ table: parents.table, found: news(parents.found) });
    }
  }
}

async function readParents(
  session: Session,
  { table, found }: { readonly table: LiveTable; readonly found: readonly Found[] },
  key: LiveKey,
  byOid: ReadonlyMap<number, LiveTable>,
): Promise<{ table: LiveTable; found: Found[] }[]> {
  const places = key.columns.map((name) => table.columns.findIndex((column) => column.name === name));
  const tuples = found.map(({ values }) => places.map((place) => values[place] ?? null));
  const wanted = [
    ...new Set(tuples.filter((tuple) => !tuple.includes(null)).map((tuple) => JSON.stringify(tuple))),
  ];
  if (wanted.length === 0) return [];
  const keyOf = key.parentColumns.map((name, n) => `p.${quoteIdentifier(name)}::text = (w.key->>${n})`);
  const { rows } = await session.query<{ oid: number; place: string }>(
    `select p.tableoid as oid, p.ctid::text as place
       from ${key.parent} p join pg_catalog.jsonb_array_elements($1::jsonb) w(key) on ${keyOf.join(' and ')}`,
    [`[${wanted.join()}]`],
  );
  const parents: { table: LiveTable; found: Found[] }[] = [];
  for (const [oid, all] of groupByOid(rows)) {
    const parent = byOid.get(oid);
    if (parent === undefined) continue;
    const read = await session.query<Found>(
      `select ${oid}::pg_catalog.oid as oid, t.ctid::text as place, ${valuesOf(parent, 't')} as values
         from only ${parent.sql} t where t.ctid = any($1::tid[])`,
      [all],
    );
    parents.push({ table: parent, found: read.rows });
  }
  return parents;
}

function groupByOid(rows: readonly { oid: number; place: string }[]): Map<number, string[]> {
  const groups = new Map<number, string[]>();
  for (const { oid, place } of rows) groups.set(oid, [...(groups.get(oid) ?? []), place]);
  return groups;
}
