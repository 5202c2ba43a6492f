/** A batch as one statement: it claims the range, finds where the batch ends, changes its rows and moves the cursor. */
import type { Session } from '../db/session.ts';
import type { ChangeSql, KeyedSource, Source, Work } from './define-kind.ts';
import { aboveSql, keyTextsSql, upToQuerySql } from './keys.ts';
import {
  type BatchDone,
  type BatchRequest,
  claimSql,
  countSql,
  edgeSql,
  keySelectSql,
  neededSql,
  type OwnRange,
  windowOf,
} from './window.ts';

interface MovedRow {
  readonly after: string[] | null;
  readonly previous: string[] | null;
  readonly done: boolean;
  readonly scanned: number;
  readonly changed: number;
  readonly control: number;
}

/** Null: the range is not ours any more, or the table is another one. Nothing was done then. */
export async function runStatement(
  work: Work,
  change: ChangeSql,
  session: Session,
  range: OwnRange,
  request: BatchRequest,
): Promise<BatchDone | null> {
  const { rows } = await session.query<MovedRow>(statementSql(work, change, range, request));
  const [moved] = rows;
  if (moved === undefined) return null;
  const { scanned, changed, control, ...place } = moved;
  const { row } = range;
  return {
    row: {
      ...row,
      ...place,
      batches: row.batches + 1,
      scanned: row.scanned + scanned,
      changed: row.changed + changed,
    },
    scanned,
    changed,
    quarantined: 0,
    control,
  };
}

export function statementSql(work: Work, change: ChangeSql, range: OwnRange, request: BatchRequest): string {
  const { source } = work;
  return isKeyed(source)
    ? keyedSql(work, source, change, range, request)
    : movingSql(work, change(neededSql(range.id, source, 'exists (select from " claim")')), range, {
        with: [],
        after: 'null',
        done: 'true',
        scanned: '(select count(*) from " changed")',
      });
}

const isKeyed = (source: Source): source is KeyedSource => source.key !== null;

function keyedSql(
  work: Work,
  source: KeyedSource,
  change: ChangeSql,
  range: OwnRange,
  request: BatchRequest,
): string {
  const { table, key } = source;
  const window = windowOf(range, request);
  const begin = window.after === null ? [] : [aboveSql(key, table.sql, window.after)];
  const rows = [
    'exists (select from " claim")',
    ...begin,
    upToQuerySql(key, table.sql, 'select * from " end"'),
  ];
  const edge =
    request.through === undefined
      ? edgeSql(range.id, source, window, request.rows)
      : `${keySelectSql(key, window.through)} where false`;
  const end = `(select ${keyTextsSql(key, '" end"')} from " end")`;
  return movingSql(work, change(neededSql(range.id, source, rows.join(' and '))), range, {
    with: [
      `" edge" as materialized (${edge})`,
      `" end" as materialized (select * from " edge" union all ${keySelectSql(key, window.through)} where not exists (select from " edge"))`,
    ],
    after: end,
    done: `through = ${end}`,
    scanned: `case when exists (select from " edge") then ${request.rows} else (${countSql(range.id, source, window)}) end`,
  });
}

interface Move {
  readonly with: readonly string[];
  readonly after: string;
  readonly done: string;
  readonly scanned: string;
}

const movingSql = (
  work: Work,
  change: ReturnType<ChangeSql>,
  { id, row, ...range }: OwnRange,
  move: Move,
): string => `
  with ${[`" claim" as materialized (${claimSql({ id, row, ...range }, work.written)})`, ...move.with, ...change.with, `" changed" as (${change.sql})`].join(',\n')},
    " moved" as (
      update switchback.data_range set previous = after, after = ${move.after}, done = (${move.done}), batches = batches + 1,
        scanned = scanned + ${move.scanned}, changed = changed + (select count(*) from " changed")
       where number = ${row.number} and exists (select from " claim")
      returning migration, after, previous, done, scanned, changed)
  select after, previous, done, (scanned - ${row.scanned})::float8 as scanned, (changed - ${row.changed})::float8 as changed,
      (select m.control from switchback.data_migration m where m.id = migration) as control
    from " moved"`;
