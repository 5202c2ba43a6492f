import { qualify } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { SequenceFact } from './entry.ts';
import type { Table } from './table.ts';

/**
 * Takes a sequence on to where it was, and never back: it may have given numbers since that are in use.
 * @returns whether there is such a sequence
 */
export async function restoreSequence(
  session: Session,
  fact: SequenceFact,
  target: Table | null,
): Promise<boolean> {
  const name = await findSequence(session, fact, target);
  if (name === null) return false;
  const { rows } = await session.query<{ last_value: string; is_called: boolean }>(
    `select last_value::text, is_called from ${name}`,
  );
  const now = rows[0];
  if (now === undefined) return false;
  const ahead = BigInt(fact.lastValue) - BigInt(now.last_value);
  const isAhead = BigInt(fact.increment) < 0n ? ahead < 0n : ahead > 0n;
  if (isAhead || (ahead === 0n && fact.isCalled && !now.is_called))
    await session.query('select setval($1::regclass, $2::bigint, $3)', [name, fact.lastValue, fact.isCalled]);
  return true;
}

/** That of its column now, if it had one; else the one of its name. */
async function findSequence(
  session: Session,
  { schema, name, column }: SequenceFact,
  target: Table | null,
): Promise<string | null> {
  if (column !== null && target?.columns.some((other) => other.name === column) === true) {
    const { rows } = await session.query<{ name: string | null }>(
      'select pg_get_serial_sequence($1, $2) as name',
      [target.sql, column],
    );
    const owned = rows[0]?.name ?? null;
    if (owned !== null) return owned;
  }
  const { rows } = await session.query<{ name: string | null }>(
    "select (select c.oid::regclass::text from pg_class c where c.oid = to_regclass($1) and c.relkind = 'S') as name",
    [qualify(schema, name)],
  );
  return rows[0]?.name ?? null;
}
