/**
 * Notices that a table becomes another one while it is read. To an older snapshot a table that was rewritten or emptied
 * by TRUNCATE has no rows, which would look like differences; a dropped column looks like a fault of the request.
 */
import { sqlstateOf } from '../../db/errors.ts';
import type { Session } from '../../db/session.ts';
import { AppError } from '../../errors.ts';
import type { SideName } from './digest.ts';
import type { ReaderPair } from './readers.ts';
import { nameOf, type Side } from './sides.ts';

/** A table, and by what it is known to be the one that the snapshot saw. */
export interface Watched {
  readonly side: Side;
  readonly identity: string;
}

export type WatchedPair = Readonly<Record<SideName, Watched>>;

/** To be asked right after the snapshot was taken. */
export const watch = async (
  sides: Readonly<Record<SideName, Side>>,
  readers: ReaderPair,
): Promise<WatchedPair> => ({
  source: { side: sides.source, identity: await identityOf(readers.source, sides.source) },
  target: { side: sides.target, identity: await identityOf(readers.target, sides.target) },
});

/**
 * Reads within a savepoint and rolls it back: so the lock on the table is let go of, and a deployment that wants to
 * change it waits for one part of the work, not for all of it.
 * @throws AppError `TABLE_CHANGED`
 */
export async function unchanged<T>(session: Session, watched: Watched, read: () => Promise<T>): Promise<T> {
  await session.query('savepoint part');
  const result = await read().catch((error: unknown) => {
    throw isGone(error) ? changed(watched.side, error) : error;
  });
  const identity = await identityOf(session, watched.side);
  await session.query('rollback to savepoint part');
  if (identity !== watched.identity) throw changed(watched.side);
  return result;
}

/**
 * Which table has the name now, and which files hold its rows. Functions of the catalogue answer for this moment,
 * whatever snapshot the transaction has.
 */
async function identityOf(session: Session, { table }: Side): Promise<string> {
  const { rows } = await session.query<{ identity: string }>(
    `with recursive tree(oid) as (
       select $1::oid union select i.inhrelid from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid
     )
     select coalesce(pg_catalog.to_regclass($2)::oid, 0) || '/' || (select count(*) from pg_catalog.pg_partition_tree($1::oid))
       || '/' || pg_catalog.string_agg(tree.oid || '=' || coalesce(pg_catalog.pg_relation_filenode(tree.oid), 0), ',' order by tree.oid) as identity
       from tree`,
    [table.oid, table.sql],
  );
  return rows[0]?.identity ?? '';
}

/** A table, a column, a type or a function that there was. */
const isGone = (error: unknown): boolean =>
  /^(42P01|42703|42704|42883|42804|XX000)$/.test(sqlstateOf(error) ?? '');

const changed = ({ place }: Side, cause?: unknown): AppError =>
  new AppError(
    'TABLE_CHANGED',
    `${nameOf(place)} of ${place.database} was changed while it was read: rewritten, emptied, dropped or replaced. Nothing is known of its rows. Validate again when the change is through.`,
    { database: place.database, table: nameOf(place) },
    { cause },
  );
