import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { inSavepoint } from './as-vault.ts';
import { inVault, type VaultEntry } from './entry.ts';
import { typed } from './restore-rows.ts';
import { asTexts, type Table } from './table.ts';
import { onlyOf } from './target.ts';
import type { Reason, Source, Work } from './work.ts';

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
  let restored = 0;
  for (let before = '9223372036854775807'; ; ) {
    const { rows } = await session.query<Change>(
      // `number` alone in ORDER BY would be the text of the list.
      `select c.number::text, op, old, new from ${relation} c where c.number < $1 order by c.number desc limit ${pageSize}`,
      [before],
    );
    for (const change of rows) {
      const failure = await undoOne(session, change, target);
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
  sql: `(select c.ctid as " at", c.* from ${inVault(relation ?? '')} c)`,
});

async function undoOne(
  session: Session,
  change: Change,
  target: Table,
): Promise<{ reason: Reason; detail: string } | null> {
  const sql = sqlOf(change, target);
  try {
    const done = await inSavepoint(session, async () => (await session.query(sql)).rowCount);
    return done > 0 ? null : { reason: 'changedSince', detail: 'no row is as the migration left it' };
  } catch (error) {
    if (!/^(22|23)/.test(sqlstateOf(error) ?? '')) throw error;
    return { reason: 'refused', detail: error instanceof Error ? error.message : String(error) };
  }
}

function sqlOf(change: Change, target: Table): string {
  const old = change.old ?? {};
  const columns = target.columns.filter(
    ({ name, generated }) => generated === '' && name in (change.old ?? change.new ?? {}),
  );
  const value = (name: string): string => {
    const text = old[name] ?? null;
    const column = columns.find((other) => other.name === name);
    return text === null || column === undefined ? 'null' : typed(column, quoteLiteral(text));
  };
  if (change.new === null)
    return `insert into ${target.sql} (${columns.map(({ name }) => quoteIdentifier(name)).join()}) overriding system value values (${columns.map(({ name }) => value(name)).join()})`;
  const one = `(tableoid, ctid) = (select t.tableoid, t.ctid from ${onlyOf(target)} t
     where ${quoteLiteral(JSON.stringify(change.new))}::jsonb @> ${asTexts(
       columns.map(({ name }) => name),
       't',
     )} limit 1)`;
  if (change.old === null) return `delete from ${onlyOf(target)} where ${one}`;
  const news = change.new;
  const sets = columns
    .filter(({ name }) => old[name] !== news[name])
    .map(({ name }) => `${quoteIdentifier(name)} = ${value(name)}`);
  return sets.length === 0 ? 'select 1' : `update ${onlyOf(target)} set ${sets.join()} where ${one}`;
}
