/** Puts a row at fault right by hand, where it was read. */
import { quoteIdentifier } from '../db/quote.ts';
import { withSession } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { onlyOf } from '../vault/target.ts';
import type { Execution } from './execute.ts';
import { findTable, invalid, requireWritable } from './expressions.ts';
import { failureOf } from './failures.ts';
import { chooseKey, equalsSql } from './keys.ts';
import { inTransaction, openPlace } from './place.ts';
import { findQuarantined, type QuarantinedRow } from './quarantine.ts';

export interface MendRequest extends Pick<Execution, 'id' | 'spec' | 'source' | 'written'> {
  /** Id of a row in the quarantine. */
  readonly row: string;
  /** Columns with their new values, as PostgreSQL reads them from a text. */
  readonly set: Readonly<Record<string, string | null>>;
}

/**
 * Sets columns of the row. Whether it is mended by that only another try tells.
 * @throws AppError `QUARANTINED_ROW_NOT_FOUND` also where the row itself is gone, `MAPPING_INVALID`, those of sessions
 */
export async function mendRow({ id, spec, source, written, row, set }: MendRequest): Promise<QuarantinedRow> {
  const naming = { applicationName: 'switchback:control', doing: 'mending a row at fault' };
  const found = await withSession(written ?? source, naming, (session) => findQuarantined(session, id, row));
  if (found === null || found.state === 'mended')
    throw notFound(row, found === null ? 'is none' : 'was mended already');
  const reading = await openPlace(source, id, spec.pace.lockTimeoutMs);
  try {
    const table = await findTable(reading, { schema: spec.schema ?? source.schema, table: spec.table });
    const key = await chooseKey(reading, table, spec.key);
    const names = Object.keys(set);
    requireWritable(table, names, false);
    const assignments = names.map((name, n) => {
      const column = table.columns.find((one) => one.name === name);
      return `${quoteIdentifier(name)} = $${n + 1}::text::${column?.type ?? 'text'}`;
    });
    const sql = `update ${onlyOf(table)} set ${assignments.join(', ')} where ${equalsSql(key, table.sql, found.key)}`;
    await inTransaction(reading, async () => {
      const { rowCount } = await reading.query(sql, Object.values(set)).catch((error: unknown) => {
        throw failureOf(error) === 'rows' && error instanceof AppError
          ? invalid('the row', String(error.details.reason))
          : error;
      });
      if (rowCount === 0) throw notFound(row, 'is gone from its table: another try settles it');
    });
    return found;
  } finally {
    await reading.close();
  }
}

const notFound = (row: string, why: string): AppError =>
  new AppError('QUARANTINED_ROW_NOT_FOUND', `The row ${row} of the quarantine ${why}. Nothing was changed.`, {
    row,
  });
