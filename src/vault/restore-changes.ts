import { v4 as newId } from 'uuid';
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { inVault, type VaultEntry } from './entry.ts';
import { lockRows } from './restore-locks.ts';
import { leaveOrphanValues } from './restore-parents.ts';
import { equals, type RowSource, typed } from './restore-rows.ts';
import { asTexts, type Column, type Table } from './table.ts';
import { onlyOf, readForeignKeys } from './target.ts';
import { placeName, type Source, type Work } from './work.ts';

/** What one statement did to a table in the end, by row: `old` is null for a row that it added, `new` for one that it removed. */
export interface Net {
  readonly entry: VaultEntry;
  readonly target: Table;
  readonly relation: string;
  readonly key: readonly string[];
  /** Columns that are on both sides. */
  readonly shared: readonly string[];
}

/** Null where rows cannot be followed by a key: there is none, or none any more, or the statement changed it. */
export async function readNet(session: Session, entry: VaultEntry, target: Table): Promise<Net | null> {
  const key = entry.keyColumns;
  if (key === null || entry.relation === null) return null;
  if (key.some((name) => !target.columns.some((column) => column.name === name))) return null;
  const of = (row: string): string =>
    `array[${key.map((name) => `${row} ->> ${quoteLiteral(name)}`).join()}]`;
  const changes = inVault(entry.relation);
  const { rows } = await session.query(
    `select 1 from ${changes} c where op = 'U' and ${of('c.old')} <> ${of('c.new')} limit 1`,
  );
  if (rows.length > 0) return null;
  const relation = inVault(`net_${newId().replaceAll('-', '')}`);
  await session.query(
    `create table ${relation} as select * from (
       select (array_agg(c.old order by c.number))[1] as old, (array_agg(c.new order by c.number desc))[1] as new
         from ${changes} c group by ${of('coalesce(c.old, c.new)')}) n
      where old is distinct from new`,
  );
  const names = entry.facts.columns?.filter(({ generated }) => !generated).map(({ name }) => name) ?? [];
  const shared = names.filter((name) =>
    target.columns.some((column) => column.name === name && column.generated === ''),
  );
  return { entry, target, relation, key, shared };
}

/** Rows that the statement removed. */
export function removedRows({ entry, target, relation, shared }: Net): RowSource {
  const columns = shared.map((name) => `n.old ->> ${quoteLiteral(name)} as ${quoteIdentifier(name)}`);
  const at = placeName(shared);
  return {
    entry: entry.id,
    target,
    at,
    columns: shared,
    sql: `(select ${[`n.ctid as ${at}`, ...columns].join()} from ${relation} n where n.new is null)`,
  };
}

const plain = ({ entry, relation }: Net, condition: string): Source => ({
  entry: entry.id,
  columns: ['old', 'new'],
  at: 'at',
  sql: `(select n.ctid as at, n.old, n.new from ${relation} n where ${condition})`,
});

const matchOf = ({ target, key }: Net): string =>
  key
    .map((name) => {
      const column = target.columns.find((other) => other.name === name);
      const kept = `s.new ->> ${quoteLiteral(name)}`;
      return column === undefined ? 'false' : equals(column, 't', kept);
    })
    .join(' and ');

/** Locks the rows that are to be given their old values, and those that are to go. */
export async function lockNet(session: Session, net: Net): Promise<void> {
  for (const going of [false, true]) {
    const condition = `n.new is not null and n.old is ${going ? 'null' : 'not null'}`;
    const from = `${onlyOf(net.target)} t, ${plain(net, condition).sql} s`;
    await lockRows(session, net.target, { from, on: matchOf(net), going });
  }
}

/** Gives changed rows their old values, column by column, where they have the statement's values still. */
export async function undoUpdates(
  session: Session,
  net: Net,
  parents: readonly RowSource[],
  work: Work,
): Promise<{ source: Source; restored: number }> {
  const source = plain(net, 'n.old is not null and n.new is not null');
  const { rows } = await session.query<{ name: string }>(
    `select distinct k.name from ${source.sql} s cross join lateral jsonb_object_keys(s.old) k(name) where s.old -> k.name is distinct from s.new -> k.name`,
  );
  const changed = rows.map(({ name }) => name);
  if (changed.length === 0) return { source, restored: 0 };
  for (const name of changed.filter((other) => !net.shared.includes(other)))
    await work.leave(source, 'columnGone', `${name} is not there any more`, differs(name));
  const columns = net.target.columns.filter(
    ({ name }) => changed.includes(name) && net.shared.includes(name),
  );
  const from = `${onlyOf(net.target)} t`;
  const found = (condition: string): string =>
    `exists (select from ${from} where ${matchOf(net)} and ${condition})`;
  const each = (side: 'old' | 'new'): string =>
    columns
      .map(
        ({ name }) =>
          `(not (${differs(name)}) or t.${quoteIdentifier(name)}::text is not distinct from s.${side} ->> ${quoteLiteral(name)})`,
      )
      .concat('true')
      .join(' and ');
  await work.leave(source, 'rowGone', 'its row was deleted since', `not ${found('true')}`);
  await work.leave(source, 'present', '', found(each('old')));
  await work.leave(source, 'changedSince', 'the row was changed since', `not ${found(each('new'))}`);
  if (columns.length === 0) return { source, restored: 0 };
  const oldOf = (column: Column): string =>
    `case when ${differs(column.name)} then ${typed(column, `s.old ->> ${quoteLiteral(column.name)}`)} else t.${quoteIdentifier(column.name)} end`;
  const pointing = {
    source,
    target: net.target,
    match: { from, on: matchOf(net) },
    put(name: string): string | null {
      const column = columns.find((other) => other.name === name);
      return column === undefined ? null : oldOf(column);
    },
  };
  await leaveOrphanValues(session, pointing, parents, work);
  const sets = columns.map((column) => `${quoteIdentifier(column.name)} = ${oldOf(column)}`);
  const restored = await work.forAll(
    source,
    (condition) =>
      `update ${from} set ${sets.join()} from ${source.sql} s where ${matchOf(net)} and ${condition}`,
  );
  return { source, restored };
}

const differs = (name: string): string =>
  `s.old -> ${quoteLiteral(name)} is distinct from s.new -> ${quoteLiteral(name)}`;

/**
 * Takes out rows that the statement added, where nobody changed them and nobody points to them: otherwise their removal
 * would take the application's rows along. To be called again as long as it takes something out: rows that point to one
 * another go one after the other.
 */
export async function undoInserts(session: Session, net: Net, work: Work): Promise<number> {
  const source = plain(net, 'n.old is null');
  const free = await unreferenced(session, net.target);
  const { rowCount } = await session.query(
    `delete from ${onlyOf(net.target)} t using ${source.sql} s where ${[matchOf(net), isNew(net), work.isOpen(source), free].join(' and ')}`,
  );
  return rowCount;
}

/** On `t`: no other row points to it. */
export async function unreferenced(session: Session, target: Table): Promise<string> {
  const free: string[] = ['true'];
  for (const key of await readForeignKeys(session, target.oid, 'to')) {
    // Periods that overlap may still be covered by others: that is for PostgreSQL to see.
    const pairs = key.columns.map((name, index) => {
      const [own, parent] = [
        `r.${quoteIdentifier(name)}`,
        `t.${quoteIdentifier(key.parentColumns[index] ?? '')}`,
      ];
      const isPeriod = key.hasPeriod && index === key.columns.length - 1;
      return isPeriod ? `${own} && ${parent}` : `${parent} operator(${key.operators[index]}) ${own}`;
    });
    const itself = key.table === target.oid ? ' and (r.tableoid, r.ctid) <> (t.tableoid, t.ctid)' : '';
    free.push(`not exists (select from ${key.tableSql} r where ${pairs.join(' and ')}${itself})`);
  }
  return free.join(' and ');
}

const isNew = ({ shared }: Net): string => `s.new @> ${asTexts(shared, 't')}`;

/** After the last call of `undoInserts`: rows that are still there. */
export async function leaveInserts(net: Net, work: Work): Promise<Source> {
  const source = plain(net, 'n.old is null');
  const found = (condition: string): string =>
    `exists (select from ${onlyOf(net.target)} t where ${matchOf(net)} and ${condition})`;
  await work.leave(source, 'changedSince', 'the row was changed since', found(`not (${isNew(net)})`));
  await work.leave(source, 'referencedSince', 'other rows point to the row', found('true'));
  return source;
}
