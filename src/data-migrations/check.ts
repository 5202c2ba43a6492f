/** Judges a data migration once every row was gone through: whether the rows are as it should have left them. */
import type { Session } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { onlyOf } from '../vault/target.ts';
import { compareRemade, type Remake } from './compare-remade.ts';
import { compareWritten } from './compare-written.ts';
import type { KeyedSource, Work } from './define-kind.ts';
import { equalsSql, type KeyValues, keyTextsSql } from './keys.ts';
import { openPlace } from './place.ts';
import type { DataMigrationSpec } from './spec.ts';
import type { PhaseName, PhaseProgress, ValidationOutcome } from './validate/request.ts';
import type { SampleOutcome } from './validate/sample.ts';
import { cancelWith } from './worker.ts';

/** By what the rows of a kind are judged. Where a kind says nothing, its cursors alone tell that it is done. */
export type Check =
  /** No row is left that needs it, of those that nobody has written since the start. */
  | { readonly by: 'rows-left' }
  /** The table that is written holds what the one that is read makes of its rows, or at least their keys. */
  | {
      readonly by: 'comparison';
      readonly columns: Readonly<Record<string, string>>;
      /** `allowed` by default: rows that were there before, and those of the application. */
      readonly extraRows?: 'refused' | 'allowed';
      /** A condition on either table: only rows for which it is true are compared. */
      readonly where?: string;
      /** What no expression can tell is made once more, of rows by chance. */
      readonly remake?: Remake;
    };

/** What came of it. */
export interface Judgement {
  readonly passed: boolean;
  readonly by: Check['by'] | 'counts';
  /** In one sentence. */
  readonly says: string;
  /** Rows in the quarantine, which were not looked at. */
  readonly quarantined: number;
  /** Rows that were left, and the first of them by their keys. */
  readonly left?: number;
  readonly listed?: readonly KeyValues[];
  readonly comparison?: ValidationOutcome;
  readonly sample?: SampleOutcome;
}

export interface CheckRequest {
  readonly id: string;
  readonly spec: DataMigrationSpec;
  readonly source: Target;
  readonly written: Target | null;
  /** Of the registered databases, for messages. */
  readonly names: { readonly source: string; readonly written: string };
  /** Whether values of rows that differ are told. */
  readonly values: 'shown' | 'redacted';
  readonly signal: AbortSignal;
  readonly phase: <T>(
    name: PhaseName,
    work: (progress: (report: PhaseProgress) => void) => Promise<T>,
  ) => Promise<T>;
}

/** More rows at fault than this cannot be told from rows that were missed. */
const mostQuarantined = 1_000;
const listedKeys = 20;

/** @throws AppError `ROWS_AT_FAULT`, those of `validate`, of sessions; the signal's reason */
export async function check(request: CheckRequest, work: Work): Promise<Judgement> {
  const { id, spec, source, written, signal } = request;
  signal.throwIfAborted();
  const session = await openPlace(source, id, spec.pace.lockTimeoutMs);
  const sessions = [session];
  const stopCancelling = cancelWith(signal, sessions);
  try {
    const writing = written === null ? session : await openPlace(written, id, spec.pace.lockTimeoutMs);
    if (writing !== session) sessions.push(writing);
    const keys = await readQuarantined(writing, id);
    const judgement = await judge(request, work, { read: session, write: writing }, keys);
    return { quarantined: keys.length, ...judgement };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    stopCancelling();
    for (const one of sessions) await one.close();
  }
}

type Judged = Omit<Judgement, 'quarantined'>;

async function judge(
  request: CheckRequest,
  work: Work,
  places: { readonly read: Session; readonly write: Session },
  quarantined: readonly KeyValues[],
): Promise<Judged> {
  const { key, where } = work.source;
  const { check: by } = work;
  const left = key === null ? null : { ...work.source, key };
  const rows = [where, ...(left === null ? [] : [notSql(left, quarantined)])].join(' and ');
  if (by?.by === 'comparison') {
    const judged = await compareWritten(request, work, by, rows);
    if (!judged.passed || by.remake === undefined || left === null) return judged;
    const since = sinceStartSql(request.id, left);
    const remade = { columns: by.columns, remake: by.remake, where: `(${rows}) and not ${since}` };
    const { says, ...more } = await compareRemade(request, { ...work, source: left }, places, remade);
    return { ...judged, ...more, says: `${judged.says}; ${says}` };
  }
  if (by?.by === 'rows-left' && left !== null) return countLeft(request, left, places.read, rows);
  return { passed: true, by: 'counts', says: 'every row was gone through; there is nothing to compare' };
}

/**
 * Rows that a transaction has written since the start: `xmin` and the snapshot of the start tell. Of a table that was empty
 * then there is none, and it is null.
 */
function sinceStartSql(id: string, { table }: KeyedSource): string {
  const began = `(select " guard".snapshot from switchback.data_guard as " guard" where " guard".migration = '${id}')`;
  return `(pg_catalog.age(${table.sql}.xmin) between 0 and (select pg_catalog.age(pg_catalog.pg_snapshot_xmax(${began})::xid))
    or ${table.sql}.xmin = any (array(select running::xid from pg_catalog.pg_snapshot_xip(${began}) as running)))`;
}

/**
 * What was written since the start is none that was missed: a batch has changed it, or it is the application's, as are all
 * rows that came later. Where a condition asks for the time, rows come to need it by waiting, and are only counted.
 */
async function countLeft(
  { id, spec }: CheckRequest,
  source: KeyedSource,
  session: Session,
  rows: string,
): Promise<Judged> {
  const { table, key } = source;
  await session.query('set statement_timeout = 0; reset enable_seqscan; reset enable_bitmapscan');
  const { rows: found } = await session.query<{ left: number; keys: KeyValues[] | null }>(
    `with " left" as materialized (select ${keyTextsSql(key, table.sql)} as " key" from ${onlyOf(table)}
        where (${rows}) is true and not ${sinceStartSql(id, source)})
     select (select count(*)::float8 from " left") as left,
       (select pg_catalog.json_agg(" key") from (select " key" from " left" limit ${listedKeys}) " some") as keys`,
  );
  const left = found[0]?.left ?? 0;
  const says = `${left === 0 ? 'no row' : `${left} rows`} that nobody has written since the start still ${left === 0 ? 'needs' : 'need'} it`;
  return {
    passed: left === 0 || asksTheTime(spec.where),
    by: 'rows-left',
    says,
    left,
    listed: found[0]?.keys ?? [],
  };
}

const asksTheTime = (where: string | undefined): boolean =>
  /\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|age|random|current_date|current_time|current_timestamp|localtime|localtimestamp)\b/i.test(
    where ?? '',
  );

const notSql = ({ key, table }: KeyedSource, keys: readonly KeyValues[]): string =>
  keys.length === 0
    ? 'true'
    : `not (${keys.map((values) => `(${equalsSql(key, table.sql, values)})`).join(' or ')})`;

async function readQuarantined(session: Session, id: string): Promise<KeyValues[]> {
  const { rows } = await session.query<{ key: string[] }>(
    `select key from switchback.data_quarantine where migration = $1 and state <> 'mended' order by id limit ${mostQuarantined + 1}`,
    [id],
  );
  if (rows.length <= mostQuarantined) return rows.map(({ key }) => key);
  throw new AppError(
    'ROWS_AT_FAULT',
    `More than ${mostQuarantined} rows are in the quarantine, and the others cannot be validated without them. What was written stands. Mend rows and retry them, then resume.`,
    { dataMigration: id, most: mostQuarantined },
  );
}
