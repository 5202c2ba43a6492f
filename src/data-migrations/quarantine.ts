/** Rows at fault: they stay as they are where they were read, and are listed with their error. */
import type { Session } from '../db/session.ts';
import type { ErrorRecord } from '../errors.ts';
import type { Table } from '../vault/table.ts';
import type { RowAtFault } from './define-kind.ts';
import type { KeyValues } from './keys.ts';
import { inTransaction } from './place.ts';
import { claimSql, type OwnRange } from './window.ts';

export interface QuarantinedRow {
  readonly id: string;
  readonly key: KeyValues;
  readonly error: ErrorRecord;
  /**
   * `mended`: it was changed in another try. `unsettled`: it was written then, and it is not known whether it is gone where
   * it was read; another try settles that.
   */
  readonly state: 'open' | 'unsettled' | 'mended';
  readonly tries: number;
  readonly foundAt: Date;
  readonly settledAt: Date | null;
}

/** In the batch's transaction. */
export async function quarantine(session: Session, id: string, faults: readonly RowAtFault[]): Promise<void> {
  for (const { key, error } of faults)
    await session.query(
      `insert into switchback.data_quarantine (migration, key, error) values ($1, $2, $3)
       on conflict (migration, key) do update set error = excluded.error, tries = switchback.data_quarantine.tries + 1`,
      [id, key, JSON.stringify(error)],
    );
}

/**
 * The one row between the cursor and its key goes to the quarantine, and the cursor goes beyond it.
 * @returns false where the range is not ours any more
 */
export async function passOver(
  session: Session,
  range: OwnRange,
  written: Table,
  fault: RowAtFault,
): Promise<boolean> {
  return inTransaction(session, async () => {
    const { rows } = await session.query(claimSql(range, written));
    if (rows.length === 0) return false;
    await quarantine(session, range.id, [fault]);
    await session.query(
      `update switchback.data_range set previous = $2, after = $2, done = (through = $2), settled = true, scanned = scanned + 1 where number = $1`,
      [range.row.number, fault.key],
    );
    return true;
  });
}

export async function countQuarantined(session: Session, id: string): Promise<number> {
  const { rows } = await session.query<{ count: number }>(
    "select count(*)::float8 as count from switchback.data_quarantine where migration = $1 and state <> 'mended'",
    [id],
  );
  return rows[0]?.count ?? 0;
}

const rowSql = `select row.id::text, row.key, row.error, row.state, row.tries, row.found_at as "foundAt", row.settled_at as "settledAt"
  from switchback.data_quarantine as row`;

export async function findQuarantined(
  session: Session,
  id: string,
  row: string,
): Promise<QuarantinedRow | null> {
  const { rows } = await session.query<QuarantinedRow>(`${rowSql} where row.migration = $1 and row.id = $2`, [
    id,
    row,
  ]);
  return rows[0] ?? null;
}

/** Those after an id, in the order in which they were found. */
export async function listQuarantined(
  session: Session,
  id: string,
  page: { readonly after?: string; readonly limit: number },
): Promise<QuarantinedRow[]> {
  const { rows } = await session.query<QuarantinedRow>(
    // `id` alone in ORDER BY would be the text of the list.
    `${rowSql} where row.migration = $1 and row.id > $2 order by row.id limit $3`,
    [id, page.after ?? '0', page.limit],
  );
  return rows;
}
