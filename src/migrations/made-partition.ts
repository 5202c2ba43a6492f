/** A partition that a rollback's text makes again: its rows that were written since went into the default partition. */
import { sqlstateOf } from '../db/errors.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { Statement } from '../sql/split.ts';
import { type CreateStmt, type RangeVar, relationName } from '../sql/tree.ts';
import { inSavepoint } from '../vault/as-vault.ts';

/** Names as they are written in the statement. */
export interface MadePartition {
  readonly table: string;
  readonly parent: string;
  readonly sql: string;
}

/** Null for any other statement. */
export function madePartition({ kind, node, text }: Statement): MadePartition | null {
  if (kind !== 'CreateStmt') return null;
  const { relation, partbound, inhRelations: [parent] = [] } = node as CreateStmt;
  if (relation === undefined || partbound === undefined || parent === undefined || !('RangeVar' in parent))
    return null;
  return { table: written(relation), parent: written(parent.RangeVar), sql: text };
}

/**
 * Makes the partition, inside the session's open transaction.
 * @throws AppError `ROLLBACK_PARTITION_TAKEN`, and PostgreSQL's own
 */
export async function makePartition(session: Session, made: MadePartition): Promise<void> {
  try {
    await inSavepoint(session, () => session.query(made.sql));
  } catch (error) {
    if (sqlstateOf(error) !== '23514') throw error;
    const taken = await inSavepoint(
      session,
      () => findTaken(session, made),
      () => false,
    );
    if (taken === null) throw error;
    const { table, parent } = made;
    throw new AppError(
      'ROLLBACK_PARTITION_TAKEN',
      `The partition ${table} of ${parent} cannot be there again: ${taken.rows} row(s) that belong into it were written into the default partition ${taken.partition} since. Move them out of it, such as into a table of their own, and roll back again; then INSERT them into ${parent}.`,
      { table, ...taken },
      { cause: error },
    );
  }
}

/** Without the default partition there is nothing in the way: then PostgreSQL tells which rows belong into the new one. */
async function findTaken(
  session: Session,
  { table, parent, sql }: MadePartition,
): Promise<{ readonly partition: string; readonly rows: number } | null> {
  const { rows: defaults } = await session.query<{ name: string }>(
    `select partdefid::pg_catalog.regclass::text as name from pg_catalog.pg_partitioned_table
      where partrelid = $1::text::pg_catalog.regclass and partdefid <> 0`,
    [parent],
  );
  const partition = defaults[0]?.name;
  if (partition === undefined) return null;
  await session.query(`alter table ${parent} detach partition ${partition}`);
  await session.query(sql);
  const { rows: conditions } = await session.query<{ condition: string | null }>(
    'select pg_catalog.pg_get_partition_constraintdef($1::text::pg_catalog.regclass) as condition',
    [table],
  );
  const condition = conditions[0]?.condition ?? 'true';
  const { rows } = await session.query<{ rows: number }>(
    `select pg_catalog.count(*)::pg_catalog.float8 as rows from ${partition} where ${condition}`,
  );
  return { partition, rows: rows[0]?.rows ?? 0 };
}

function written(relation: RangeVar): string {
  const { schema, name } = relationName(relation);
  return [...(schema === null ? [] : [schema]), name].map((part) => quoteIdentifier(part)).join('.');
}
