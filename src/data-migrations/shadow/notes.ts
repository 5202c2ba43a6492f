/** Rows that are noted because the other table could not be given what the first one has of them. */
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import { columnsSql } from '../expressions.ts';
import { type Direction, notesTable, rowFunction } from './mirror.ts';
import type { Shadow } from './state.ts';
import { inOwnTransaction } from './transaction.ts';

const atOnce = 200;

/**
 * Looks at noted rows once more, in short transactions.
 * @returns how many of them are refused. What is noted meanwhile is none of these: it was not looked at yet
 */
export async function settleNotes(session: Session, shadow: Shadow, direction: Direction): Promise<number> {
  let refused = 0;
  for (let after = '0'; ; ) {
    const some = await inOwnTransaction(session, () => settleSome(session, shadow, direction, after));
    if (some.last === null) return refused;
    refused += some.refused.length;
    after = some.last;
  }
}

/**
 * Within the transaction that holds the tables.
 * @throws AppError `ROWS_AT_FAULT` where one is refused
 */
export async function requireSettled(session: Session, shadow: Shadow, direction: Direction): Promise<void> {
  for (let after = '0'; ; ) {
    const { last, refused } = await settleSome(session, shadow, direction, after);
    if (refused[0] !== undefined) throw atFault(shadow, direction, refused[0]);
    if (last === null) return;
    after = last;
  }
}

async function settleSome(
  session: Session,
  { id, columns }: Shadow,
  direction: Direction,
  after: string,
): Promise<{ readonly last: string | null; readonly refused: readonly string[] }> {
  const mirror = { id, direction };
  const notes = notesTable(mirror);
  const { rows } = await session.query<{ number: string; reason: string | null }>(
    `with noted as materialized (select * from ${notes} where " number" > $1 order by " number" limit ${atOnce})
     select " number"::text as number, ${rowFunction(mirror)}(${columnsSql(columns.key)}) as reason from noted order by noted." number"`,
    [after],
  );
  const settled = rows.filter(({ reason }) => reason === null).map(({ number }) => number);
  if (settled.length > 0) await session.query(`delete from ${notes} where " number" = any ($1)`, [settled]);
  return {
    last: rows.at(-1)?.number ?? null,
    refused: rows.flatMap(({ reason }) => reason ?? []),
  };
}

/** What PostgreSQL says has values of the row: it stands in `details.detail`, which is shown to readers of the database. */
export function atFault({ schema, table, id, name }: Shadow, direction: Direction, reason: string): AppError {
  const forms = direction === 'forth' ? ['new', 'old'] : ['old', 'new'];
  return new AppError(
    'ROWS_AT_FAULT',
    `Rows of ${schema}.${table} that were written since "${name}" began do not fit into the ${forms[0]} form of the table. The table stays in its ${forms[1]} form, and nothing is lost. The rows are in ${notesTable({ id, direction })}; mend them and try again.`,
    { dataMigration: id, detail: reason },
  );
}
