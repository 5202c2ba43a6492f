import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { inSavepoint } from './as-vault.ts';
import { inVault, type VaultEntry } from './entry.ts';
import { unreferenced } from './restore-changes.ts';
import { type RowSource, typed } from './restore-rows.ts';
import { asTexts, type Column, type Table } from './table.ts';
import { onlyOf } from './target.ts';
import { placeName, type Reason, type Source, type Work } from './work.ts';

type Row = Readonly<Record<string, string | null>>;
interface Change {
  readonly number: string;
  readonly op: 'I' | 'U' | 'D';
  readonly old: Row | null;
  readonly new: Row | null;
}

const pageSize = 500;

/**
 * Undoes changes in a table whose rows cannot be followed by a key, the last one first: each looks for one row that is
 * as the change left it. Slow, and right.
 */
export async function undoOneByOne(
  session: Session,
  entry: VaultEntry,
  target: Table,
  work: Work,
): Promise<{ source: Source; restored: number }> {
  const relation = inVault(entry.relation ?? '');
  const source = sourceOfChanges(entry);
  const free = await unreferenced(session, target);
  let restored = 0;
  for (let before = '9223372036854775807'; ; ) {
    const { rows } = await session.query<Change>(
      // `number` alone in ORDER BY would be the text of the list.
      `select c.number::text, op, old, new from ${relation} c where c.number < $1 order by c.number desc limit ${pageSize}`,
      [before],
    );
    for (const change of rows) {
      const failure = await undoOne(session, change, target, free);
      if (failure === null) restored += 1;
      else await work.leave(source, failure.reason, failure.detail, `s.number = ${change.number}`);
    }
    const last = rows.at(-1);
    if (last === undefined) return { source, restored };
    before = last.number;
  }
}

/** All changes, one by one. */
export const sourceOfChanges = ({ id, relation }: VaultEntry): Source => ({
  entry: id,
  columns: ['op', 'old', 'new'],
  at: 'at',
  sql: `(select c.ctid as at, c.* from ${inVault(relation ?? '')} c)`,
});

/** The rows that there will be again, if each is found as the change left it. */
export function oldRows(entry: VaultEntry, target: Table): RowSource {
  const columns = (entry.facts.columns ?? []).filter(({ generated }) => !generated).map(({ name }) => name);
  const values = columns.map((name) => `c.old ->> ${quoteLiteral(name)} as ${quoteIdentifier(name)}`);
  const at = placeName(columns);
  return {
    entry: entry.id,
    target,
    at,
    columns,
    sql: `(select ${[`c.ctid as ${at}`, ...values].join()} from ${inVault(entry.relation ?? '')} c where c.old is not null)`,
  };
}

async function undoOne(
  session: Session,
  change: Change,
  target: Table,
  free: string,
): Promise<Failure | null> {
  try {
    return await inSavepoint(session, async () => {
      if (change.new === null) {
        await session.query(insertSql(change.old ?? {}, target));
        return null;
      }
      const place = await findLeft(session, change.new, target);
      if (place === null)
        return { reason: 'changedSince', detail: 'no row is as the migration left it' } as const;
      const sql =
        change.old === null
          ? `delete from ${onlyOf(target)} t where ${place} and ${free}`
          : updateSql(change.old, change.new, target, place);
      if (sql === null || (await session.query(sql)).rowCount > 0) return null;
      return { reason: 'referencedSince', detail: 'other rows point to the row' } as const;
    });
  } catch (error) {
    if (!/^(22|23)/.test(sqlstateOf(error) ?? '')) throw error;
    return { reason: 'refused', detail: error instanceof Error ? error.message : String(error) };
  }
}

interface Failure {
  readonly reason: Reason;
  readonly detail: string;
}

const writable = (target: Table, row: Row): Column[] =>
  target.columns.filter(({ name, generated }) => generated === '' && name in row);

const literalOf = (row: Row, column: Column): string => {
  const text = row[column.name] ?? null;
  return text === null ? 'null' : typed(column, quoteLiteral(text));
};

/** Locks one row that is as the change left it; the condition by which it is found again, null for none. */
async function findLeft(session: Session, left: Row, target: Table): Promise<string | null> {
  const names = writable(target, left).map(({ name }) => name);
  const { rows } = await session.query<{ part: string; place: string }>(
    `select t.tableoid::text as part, t.ctid::text as place from ${onlyOf(target)} t
      where ${quoteLiteral(JSON.stringify(left))}::jsonb @> ${asTexts(names, 't')} limit 1 for update`,
  );
  const [row] = rows;
  return row === undefined ? null : `t.tableoid = ${row.part} and t.ctid = '${row.place}'`;
}

function insertSql(old: Row, target: Table): string {
  const columns = writable(target, old);
  return `insert into ${target.sql} (${columns.map(({ name }) => quoteIdentifier(name)).join()}) overriding system value values (${columns.map((column) => literalOf(old, column)).join()})`;
}

/** Null where nothing is to be done. */
function updateSql(old: Row, left: Row, target: Table, place: string): string | null {
  const sets = writable(target, old)
    .filter(({ name }) => old[name] !== left[name])
    .map((column) => `${quoteIdentifier(column.name)} = ${literalOf(old, column)}`);
  return sets.length === 0 ? null : `update ${onlyOf(target)} t set ${sets.join()} where ${place}`;
}
