import { quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import { inTransaction } from '../place.ts';

/** In a transaction under our own search_path: definitions that PostgreSQL prints are qualified there. */
export const inOwnTransaction = <T>(session: Session, work: () => Promise<T>): Promise<T> =>
  inTransaction(session, () => underOwnPath(session, work));

/** In the open transaction. */
export async function underOwnPath<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.query('set local search_path = pg_catalog');
  const done = await work();
  await session.query(`set local search_path = ${quoteIdentifier(session.target.schema)}`);
  return done;
}

/** What callers have written is read as their schema has it, as it is in every batch. */
export async function underCallersPath<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.query(`set local search_path = ${quoteIdentifier(session.target.schema)}`);
  const done = await work();
  await session.query('set local search_path = pg_catalog');
  return done;
}

export async function runAll(session: Session, commands: readonly string[]): Promise<void> {
  if (commands.length > 0) await session.query(commands.join(';\n'));
}
