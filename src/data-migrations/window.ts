/** SQL for the rows of one batch, and for where it ends. */
import { qualify, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Table } from '../vault/table.ts';
import { onlyOf } from '../vault/target.ts';
import type { KeyedSource, Source } from './define-kind.ts';
import { wasThereSql } from './guards.ts';
import { type Key, type KeyValues, keyColumnsSql, orderSql, type Window, windowSql } from './keys.ts';
import type { RangeRow } from './progress.ts';

/** A range as its executor knows it. */
export interface OwnRange {
  /** Of the data migration. */
  readonly id: string;
  readonly epoch: number;
  readonly row: RangeRow;
}

export interface BatchRequest {
  /** So many rows of the table are gone through, whether or not they need it. */
  readonly rows: number;
  /** Or up to this key, however many they are. */
  readonly through?: KeyValues;
  /** Rows at fault that may be left out. */
  readonly tolerated: number;
  readonly signal: AbortSignal;
}

export interface BatchDone {
  /** The range, as it is now. */
  readonly row: RangeRow;
  readonly scanned: number;
  readonly changed: number;
  readonly quarantined: number;
  /** `Control.version`, as it is now. */
  readonly control: number;
}

/** What is left of the range for this batch: it ends there at the latest. */
export const windowOf = ({ row }: OwnRange, request: BatchRequest): Window => ({
  after: row.after,
  through: request.through ?? row.through ?? [],
});

/**
 * On the source: the rows that were there at the start and need it. `(…) is true` is no condition that an index could
 * serve, so that the planner goes along the key's and not, from the beginning each time, along another one.
 */
export const neededSql = (id: string, { table, key, where }: Source, rows: string): string =>
  [
    `(${rows})`,
    ...(key === null ? [] : [wasThereSql({ id, table, key })]),
    ...(where === 'true' ? [] : [`(${where}) is true`]),
  ].join(' and ');

const presentSql = (id: string, { table, key }: KeyedSource, window: Window): string =>
  `${windowSql(key, table.sql, window)} and ${wasThereSql({ id, table, key })}`;

/** The key of the batch's last row, in columns named as the key's; no row where the window has fewer rows. */
export function edgeSql(id: string, source: KeyedSource, window: Window, rows: number, into = ''): string {
  const { table, key } = source;
  return `select ${keyColumnsSql(key, table.sql).join(', ')} ${into} from ${onlyOf(table)} where ${presentSql(id, source, window)}
    order by ${orderSql(key, table.sql)} offset ${rows - 1} limit 1`;
}

export const countSql = (id: string, source: KeyedSource, window: Window): string =>
  `select count(*) from ${onlyOf(source.table)} where ${presentSql(id, source, window)}`;

/** A key as the columns that it is made of. */
export const keySelectSql = (key: Key, values: KeyValues): string =>
  `select ${key.columns.map(({ name, type }, n) => `${quoteLiteral(values[n] ?? '')}::${type} as ${quoteIdentifier(name)}`).join(', ')}`;

/**
 * Locks the range's row for the rest of the transaction, if it is ours and the table is still the one that was checked.
 * Whoever takes over waits for this lock before the epoch can change.
 */
export const claimSql = (range: OwnRange, written: Table): string =>
  `select from switchback.data_range where number = ${range.row.number} and epoch = ${range.epoch} and not done
      and pg_catalog.to_regclass(${quoteLiteral(qualify(written.schema, written.name))}) = ${written.oid}::oid for update`;
