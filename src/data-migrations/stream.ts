/** Rows by COPY from one session into another. */
import type { Session } from '../db/session.ts';
import type { Table } from '../vault/table.ts';
import type { TransferBatch } from './define-kind.ts';
import { ownMark } from './define-signal.ts';
import { columnsSql } from './expressions.ts';
import { conflictSql, type Mapping } from './mapping.ts';

export interface Stream {
  readonly mapping: Mapping;
  readonly written: Table;
  readonly onConflict: 'fail' | 'skip' | 'update';
}

/**
 * Runs a query in the one session and writes its rows in the other: with nothing in between where a conflict is a fault,
 * else by way of a temporary table.
 * @param query gives the mapping's values
 * @returns rows that were written
 */
export async function stream(
  { read, write, signal }: Pick<TransferBatch, 'read' | 'write' | 'signal'>,
  query: string,
  { mapping, written, onConflict }: Stream,
): Promise<number> {
  const format = `with (format ${mapping.binary ? 'binary' : 'text'}) ${ownMark}`;
  const out = `copy (${query}) to stdout ${format}`;
  const names = columnsSql(mapping.names);
  // COPY itself knows no conflicts, and takes values for GENERATED ALWAYS AS IDENTITY as they are.
  if (onConflict === 'fail')
    return pipe(read, out, write, `copy ${written.sql} (${names}) from stdin ${format}`, signal);
  const staging = `pg_temp.batch_${written.oid}`;
  await write.query(
    `create temporary table if not exists batch_${written.oid} on commit delete rows as select ${names} from ${written.sql} with no data`,
  );
  await pipe(read, out, write, `copy ${staging} from stdin ${format}`, signal);
  const { rowCount } = await write.query(
    `insert into ${mapping.into} select * from ${staging} ${conflictSql(written, mapping, onConflict)}`,
  );
  return rowCount;
}

async function pipe(
  read: Session,
  out: string,
  write: Session,
  into: string,
  signal: AbortSignal,
): Promise<number> {
  const copy = await write.copyIn(into);
  try {
    await read.copyOut(out, (bytes) => {
      signal.throwIfAborted();
      return copy.write(bytes);
    });
  } catch (error) {
    await copy.abandon('its rows cannot be read');
    throw error;
  }
  return copy.finish();
}
