/**
 * A batch in one round trip: it claims the range, finds where the batch ends, changes its rows and moves the cursor. As a
 * block of PL/pgSQL, since RETURNING, by which one statement could count its rows, costs a tenth of an UPDATE.
 */
import { quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { ChangeSql, KeyedSource, Source, Work } from './define-kind.ts';
import { aboveSql, type Key, upToSql, upToValuesSql } from './keys.ts';
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
  const { row, epoch } = range;
  const { rows } = await session.query<MovedRow>(`
    do language plpgsql ${quoteLiteral(blockSql(work, change, range, request))};
    select after, previous, done, (scanned - ${row.scanned})::float8 as scanned, (changed - ${row.changed})::float8 as changed,
        (select m.control from switchback.data_migration m where m.id = migration) as control
      from switchback.data_range where number = ${row.number} and epoch = ${epoch} and batches = ${row.batches + 1}`);
  const [moved] = rows;
  if (moved === undefined) return null;
  const { scanned, changed, control, ...place } = moved;
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

/** The statement of a batch that takes all that is left of its range, for EXPLAIN. */
export function plannedSql(
  { source }: Work,
  change: ChangeSql,
  range: OwnRange,
  request: BatchRequest,
): string {
  if (!isKeyed(source)) return joined(change(neededSql(range.id, source, 'true')));
  return joined(
    change(
      neededSql(
        range.id,
        source,
        rowsSql(source, range, upToSql(source.key, source.table.sql, windowOf(range, request).through)),
      ),
    ),
  );
}

export const joined = ({ with: parts, sql }: ReturnType<ChangeSql>): string =>
  parts.length === 0 ? sql : `with ${parts.join(', ')} ${sql}`;

const isKeyed = (source: Source): source is KeyedSource => source.key !== null;

/** Names of variables begin with a blank, as no column's does; where one does all the same, it is the column that is meant. */
const variable = (n: number): string => `" key ${n}"`;
const variables = (key: Key): string[] => key.columns.map((_, n) => variable(n));

function blockSql(work: Work, change: ChangeSql, range: OwnRange, request: BatchRequest): string {
  const { source } = work;
  const [declared, found, rows, after, done] = isKeyed(source)
    ? [
        source.key.columns.map(({ type }, n) => `${variable(n)} ${type};`).join(' '),
        endSql(source, range, request),
        rowsSql(source, range, upToValuesSql(source.key, source.table.sql, variables(source.key))),
        `array[${variables(source.key)
          .map((name) => `${name}::pg_catalog.text`)
          .join(', ')}]`,
        'through is not distinct from',
      ]
    : ['', '', 'true', 'null', 'null is not distinct from'];
  return `#variable_conflict use_column
    declare ${declared} " scanned" bigint; " changed" bigint;
    begin
      perform ${claimSql(range, work.written).replace(/^select /, '')};
      if not found then return; end if;
      ${found}
      ${joined(change(neededSql(range.id, source, rows)))};
      get diagnostics " changed" = row_count;
      update switchback.data_range set previous = after, after = ${after}, done = (${done} ${after}), batches = batches + 1,
          scanned = scanned + coalesce(" scanned", " changed"), changed = changed + " changed"
        where number = ${range.row.number};
    end`;
}

/** The key with which the batch ends: that of its last row, else the end of what is left. */
function endSql(source: KeyedSource, range: OwnRange, request: BatchRequest): string {
  const window = windowOf(range, request);
  const into = `into ${variables(source.key).join(', ')}`;
  const rest = `${keySelectSql(source.key, window.through)} ${into};
      " scanned" := (${countSql(range.id, source, window)});`;
  if (request.through !== undefined) return rest;
  return `${edgeSql(range.id, source, window, request.rows, into)};
      if found then " scanned" := ${request.rows}; else ${rest} end if;`;
}

function rowsSql({ table, key }: KeyedSource, { row }: OwnRange, end: string): string {
  const begin = row.after === null ? [] : [aboveSql(key, table.sql, row.after)];
  return [...begin, end].join(' and ');
}
