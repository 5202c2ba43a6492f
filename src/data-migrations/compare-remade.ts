/** Has a module make rows once more, and compares them with what was written: of a sample, since no SQL can tell. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Session } from '../db/session.ts';
import type { CheckRequest, Judgement } from './check.ts';
import type { KeyedSource, Work } from './define-kind.ts';
import { keyListSql } from './keys.ts';
import { compareSample, type SampledPair, type SampledRow } from './validate/sample.ts';

interface RemakePlaces {
  readonly read: Session;
  readonly write: Session;
  readonly signal: AbortSignal;
}

/**
 * Makes what would be written of rows of the source, and writes nothing.
 * @param rows a condition on the source's columns
 * @returns all columns that are written, as texts
 */
export type Remake = (places: RemakePlaces, rows: string) => Promise<readonly SampledRow[]>;

interface Remade {
  /** Of the written table's key, what each comes from. */
  readonly columns: Readonly<Record<string, string>>;
  readonly remake: Remake;
  /** For SQL: rows of the source that nobody has written since the start. */
  readonly where: string;
}

const sampledRows = 1_000;
/** So that what a module takes from the clock differs from one time to the next. */
const betweenMs = 20;

/**
 * A column whose values differ from one time to the next (made of the clock, or by chance) cannot be compared: it is named.
 * @throws AppError those of `compareSample` and of `remake`
 */
export async function compareRemade(
  { id, source, written, names, signal }: CheckRequest,
  work: Pick<Work, 'written'> & { readonly source: KeyedSource },
  sessions: Omit<RemakePlaces, 'signal'>,
  { columns, remake, where }: Remade,
): Promise<Pick<Judgement, 'passed' | 'says' | 'sample'>> {
  const { table, key } = work.source;
  const keyNames = key.columns.map(({ name }) => name);
  const unsteady = new Set<string>();
  // Rows are read by a list of keys, which is no range of them.
  await sessions.read.query('reset enable_seqscan; reset enable_bitmapscan');
  const compare = async (pairs: readonly SampledPair[]): Promise<(string | null)[]> => {
    if (pairs.length === 0) return [];
    const asked = pairs.map((pair) => valuesOf(pair.source, keyNames));
    const rows = keyListSql(key, table.sql, asked);
    const once = byKey(await remake({ ...sessions, signal }, rows), keyNames);
    await pause(betweenMs, undefined, { signal });
    const again = byKey(await remake({ ...sessions, signal }, rows), keyNames);
    for (const [name, row] of once)
      for (const column of differing(row, again.get(name) ?? row)) unsteady.add(column);
    return pairs.map((pair, n) => {
      const made = once.get(JSON.stringify(asked[n]));
      if (made === undefined) return 'the module makes no row of it';
      if (pair.target === null) return 'it is not there';
      const wrong = differing(made, pair.target).filter((column) => !unsteady.has(column));
      return wrong.length === 0 ? null : `the module makes another ${wrong.join(', ')} of it`;
    });
  };
  const mapping = {
    source: {
      ...{ database: names.source, target: source, schema: table.schema, table: table.name },
      where,
    },
    target: {
      ...{ database: names.written, target: written ?? source },
      ...{ schema: work.written.schema, table: work.written.name },
    },
    columns,
  };
  const context = { applicationName: `switchback:${id}`, signal };
  const sample = await compareSample({ ...mapping, rows: sampledRows, pauseMs: 2_000 }, context, compare);
  const apart =
    unsteady.size === 0
      ? ''
      : ` (not compared, since it differs each time: ${[...unsteady].toSorted().join(', ')})`;
  const says = `of ${sample.compared} rows by chance, made once more, ${sample.wrong.length} are wrong${apart}`;
  return { passed: sample.wrong.length === 0, says, sample };
}

const valuesOf = (row: SampledRow, names: readonly string[]): string[] =>
  names.map((name) => row[name] ?? '');

const byKey = (rows: readonly SampledRow[], names: readonly string[]): Map<string, SampledRow> =>
  new Map(rows.map((row) => [JSON.stringify(valuesOf(row, names)), row]));

const differing = (made: SampledRow, found: SampledRow): string[] =>
  Object.keys(made).filter((column) => made[column] !== found[column]);
