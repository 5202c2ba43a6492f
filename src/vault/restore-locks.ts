/**
 * What a restore compares must be what it then writes. Rows that can be named by their key are locked one by one, so
 * that the application goes on with all others; where they cannot, and writers are not kept out anyway, the table is.
 */
import type { Session } from '../db/session.ts';
import type { Table } from './table.ts';
import { onlyOf } from './target.ts';

interface Rows {
  /** FROM clause in which the target is `t`. */
  readonly from: string;
  readonly on: string;
  /** Rows that are to go are locked against new rows that point to them, too. */
  readonly going: boolean;
}

/** Waits for whoever is writing to the rows. What a later statement of READ COMMITTED sees of them stays so. */
export async function lockRows(session: Session, target: Table, { from, on, going }: Rows): Promise<void> {
  if (await holds(session, target, going ? against.references : against.writes)) return;
  await session.query(
    `select count(*) from (select from ${from} where ${on} for ${going ? '' : 'no key '}update of t) l`,
  );
}

/** Keeps writers out of the whole table until the transaction ends. */
export async function lockTable(session: Session, target: Table): Promise<void> {
  if (await holds(session, target, against.writes)) return;
  await session.query(`lock table ${onlyOf(target)} in share row exclusive mode`);
}

const beyond = ['ExclusiveLock', 'AccessExclusiveLock'];
const against = { references: beyond, writes: ['ShareLock', 'ShareRowExclusiveLock', ...beyond] } as const;

/** Whether the transaction has one of the locks on the table, and on every partition of it. */
async function holds(session: Session, { oid }: Table, modes: readonly string[]): Promise<boolean> {
  const { rows } = await session.query<{ held: boolean }>(
    `select not exists (
       select from (select $1::oid as oid union select relid::oid from pg_partition_tree($1::oid)) p
        where not exists (select from pg_locks l
          where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted and l.relation = p.oid and l.mode = any($2))) as held`,
    [oid, modes],
  );
  return rows[0]?.held === true;
}
