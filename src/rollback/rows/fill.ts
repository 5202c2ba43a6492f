/**
 * Puts a few rows into every table of a database, such that all constraints hold: what a migration does to a table
 * shows only where the table has rows. The same schema gets the same rows.
 */
import { quoteIdentifier } from '../../db/quote.ts';
import {
  type Connection,
  emptyOf,
  type ForeignKey,
  listTables,
  readTables,
  readTypes,
  type Table,
  type TableState,
  type Types,
} from './catalogue.ts';
import { fillNewColumns } from './columns.ts';
import { Inserter } from './insert.ts';
import { mustHaveValues, type Parents, planRow, type Row } from './row.ts';

export interface FillReport {
  /** Tables that had no rows and now have some. */
  readonly filled: readonly string[];
  /** Tables for which no row was found, and why. */
  readonly left: readonly { readonly table: string; readonly reason: string }[];
}

export interface RowFiller {
  /**
   * Fills the tables that are empty, and the columns that are new since the last call: of all tables, or of those with
   * these oids. What these point to must be among them.
   */
  fill(client: Connection, only?: ReadonlySet<number>): Promise<FillReport>;
}

const rowsPerTable = 3;
/** A table that cannot be filled is tried again when its columns change, and a few times more: its parents may have changed. */
const maxTries = 3;

export function createRowFiller(): RowFiller {
  const known = new Map<number, number>();
  const tries = new Map<string, number>();
  const isHopeless = ({ oid, newest }: TableState): boolean =>
    (tries.get(`${oid}/${newest}`) ?? 0) >= maxTries;
  return {
    async fill(client, only) {
      const tables = (await listTables(client)).filter(({ oid }) => only?.has(oid) ?? true);
      const empty = await emptyOf(
        client,
        tables.filter((table) => !isHopeless(table)),
      );
      const grown = tables.filter(
        ({ oid, newest }) => !empty.has(oid) && newest > (known.get(oid) ?? newest),
      );
      const report = await inTransaction(client, async () => {
        if (empty.size + grown.length === 0) return { filled: [], left: [] };
        const types = await readTypes(client);
        for (const table of await readTables(
          client,
          grown.map(({ oid }) => oid),
        ))
          await fillNewColumns(client, table, types, known.get(table.oid) ?? 0);
        return fillTables(client, await readTables(client, [...empty]), types);
      });
      for (const { oid, newest } of tables) known.set(oid, newest);
      for (const { oid, newest } of tables.filter(({ name }) =>
        report.left.some(({ table }) => table === name),
      ))
        tries.set(`${oid}/${newest}`, (tries.get(`${oid}/${newest}`) ?? 0) + 1);
      return report;
    },
  };
}

async function inTransaction<T>(client: Connection, work: () => Promise<T>): Promise<T> {
  // What is deferred would be refused at the end only, when it is too late to try something else.
  await client.query('begin; set constraints all immediate');
  try {
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

async function fillTables(client: Connection, tables: readonly Table[], types: Types): Promise<FillReport> {
  const filled: string[] = [];
  const left: { table: string; reason: string }[] = [];
  for (const table of parentsFirst(tables)) {
    const reason = await fillTable(client, table, types);
    if (reason === null) filled.push(table.name);
    else left.push({ table: table.name, reason });
  }
  return { filled, left };
}

/** Tables after those that they point to. Of a cycle the table that may point nowhere comes first. */
function parentsFirst(tables: readonly Table[]): Table[] {
  const waiting = new Map(tables.map((table) => [table.oid, table]));
  const sorted: Table[] = [];
  const isReady = (table: Table, matters: (key: ForeignKey) => boolean): boolean =>
    table.foreignKeys.every((key) => key.target === table.oid || !waiting.has(key.target) || !matters(key));
  while (waiting.size > 0) {
    const left = [...waiting.values()];
    const next =
      left.find((table) => isReady(table, () => true)) ??
      left.find((table) => isReady(table, (key) => mustHaveValues(table, key))) ??
      (left[0] as Table);
    waiting.delete(next.oid);
    sorted.push(next);
  }
  return sorted;
}

/** The reason why the table stays empty, or null. */
async function fillTable(client: Connection, table: Table, types: Types): Promise<string | null> {
  const parents = await readParents(client, table);
  const plan = (n: number): Row | null => planRow(table, types, parents, n);
  const numbers = Array.from({ length: rowsPerTable }, (_, n) => n);
  const rows = numbers.map(plan).filter((row) => row !== null);
  if (rows.length === 0) return 'no value for a column that needs one';
  const inserter = new Inserter(client, table, types);
  // "default values" is one row only.
  const atOnce = rows.every((row) => row.size > 0) && (await inserter.insertAll(rows)) === null;
  const reason = atOnce ? null : await fillOneByOne(inserter, plan);
  for (const [index, bound] of table.bounds.slice(0, 6).entries()) {
    const n = 4 * rowsPerTable + index;
    const row = plan(n);
    if (row !== null) await inserter.insertOne(row, n, insideBound(table, bound));
  }
  return reason;
}

/** Values of the partition key that lead into the partition. */
function insideBound(table: Table, bound: string): Row {
  const literals = [...bound.matchAll(/'(?:[^']|'')*'|-?\d+/g)].map(([text]) => text);
  const keys = table.columns.filter(({ name }) => table.partitionKey.includes(name));
  return new Map(
    keys.slice(0, literals.length).map(({ name, typeName }, n) => [name, `${literals[n]}::${typeName}`]),
  );
}

async function fillOneByOne(inserter: Inserter, plan: (n: number) => Row | null): Promise<string | null> {
  let reason: string | null = null;
  let inserted = 0;
  for (let n = 0; n < 4 * rowsPerTable && inserted < rowsPerTable; n += 1) {
    const row = plan(n);
    const error = row === null ? null : await inserter.insertOne(row, n);
    if (row !== null && error === null) inserted += 1;
    else if (error !== null) reason = error.message;
    if (inserted === 0 && n === rowsPerTable) break;
  }
  return inserted > 0 ? null : (reason ?? 'no row to point to');
}

async function readParents(client: Connection, table: Table): Promise<Parents> {
  const parents = new Map<ForeignKey, string[][]>();
  for (const key of table.foreignKeys) {
    if (key.target === table.oid) continue;
    const columns = key.targetColumns.map((name) => `${quoteIdentifier(name)}::text`).join(', ');
    const { rows } = await client.query<{ values: string[] }>(
      `select array[${columns}] as values from (select * from ${await nameOf(client, key.target)} limit 20) parents order by 1`,
    );
    parents.set(
      key,
      rows.map(({ values }) => values).filter((values) => values.every((value) => value !== null)),
    );
  }
  return parents;
}

async function nameOf(client: Connection, oid: number): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    "select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1",
    [oid],
  );
  return rows[0]?.name ?? '';
}
