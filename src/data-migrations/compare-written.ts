/** Compares what was written with what it comes from, in full; by their number where no key tells the rows apart. */
import { quoteIdentifier } from '../db/quote.ts';
import { withSession } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { Table } from '../vault/table.ts';
import { onlyOf } from '../vault/target.ts';
import type { Check, CheckRequest, Judgement } from './check.ts';
import type { Work } from './define-kind.ts';
import type { ValidationOutcome } from './validate/request.ts';
import { validate } from './validate/validate.ts';

type Compared = Extract<Check, { by: 'comparison' }>;

/**
 * @param by columns of the written table, with what each comes from
 * @param where a condition for SQL: the rows of the source that should have been written
 */
export async function compareWritten(
  request: CheckRequest,
  work: Work,
  by: Compared,
  where: string,
): Promise<Omit<Judgement, 'quarantined'>> {
  try {
    const comparison = await compare(request, work, by, where);
    const { missing, changed, extra } = comparison.differences;
    const says = comparison.same
      ? `${comparison.rows.source} rows are as they should be`
      : `of ${comparison.rows.source} rows ${missing} are missing, ${changed} differ and ${extra} should not be there`;
    return { passed: comparison.same, by: 'comparison', says, comparison };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'KEY_UNUSABLE') throw error;
    return compareCounts(request, work, where, error.message);
  }
}

/** What PostgreSQL converts when it is written is converted for the comparison as well. */
async function compare(
  request: CheckRequest,
  work: Work,
  { columns, extraRows = 'allowed', where: compared }: Compared,
  where: string,
): Promise<ValidationOutcome> {
  const { id, spec, names, values, signal, phase } = request;
  const { table } = work.source;
  const mapping = {
    source: {
      database: names.source,
      target: request.source,
      schema: table.schema,
      table: table.name,
      where: compared === undefined ? where : `(${where}) and (${compared})`,
    },
    target: {
      ...{ database: names.written, target: request.written ?? request.source },
      ...{ schema: work.written.schema, table: work.written.name },
      where: compared,
    },
    extraRows,
  };
  const context = { applicationName: `switchback:${id}`, signal, phase };
  const { parallelism } = spec;
  const options = { parallelism, pauseMs: 2_000, tries: 3, listed: 100, values };
  for (let given = columns; ; ) {
    try {
      return await validate({ ...mapping, ...options, columns: given }, context);
    } catch (error) {
      const converted = convert(error, given, table, work.written);
      if (converted === null) throw error;
      given = converted;
    }
  }
}

function convert(
  error: unknown,
  columns: Readonly<Record<string, string>>,
  source: Table,
  written: Table,
): Readonly<Record<string, string>> | null {
  if (!(error instanceof AppError) || error.code !== 'TYPES_NOT_COMPARABLE') return null;
  const column = written.columns.find(({ name }) => name === error.details.column);
  const text = column === undefined ? undefined : columns[column.name];
  if (column === undefined || text === undefined) return null;
  const plain = source.columns.some(({ name }) => name === text);
  const cast = `(\n${plain ? quoteIdentifier(text) : text}\n)::${column.plainType}`;
  // Of a key's column, or where the cast is of no use.
  return text.endsWith(`)::${column.plainType}`) ? null : { ...columns, [column.name]: cast };
}

async function compareCounts(
  { id, source, written }: CheckRequest,
  work: Work,
  where: string,
  why: string,
): Promise<Omit<Judgement, 'quarantined'>> {
  const count = (target: typeof source, sql: string): Promise<number> =>
    withSession(target, { applicationName: `switchback:${id}`, doing: 'counting rows' }, async (session) => {
      const { rows } = await session.query<{ count: number }>(`select count(*)::float8 as count from ${sql}`);
      return rows[0]?.count ?? 0;
    });
  const expected = await count(source, `${onlyOf(work.source.table)} where (${where}) is true`);
  const found = await count(written ?? source, onlyOf(work.written));
  const says = `${expected} rows should be there, and ${found} are; they were only counted: ${why}`;
  return { passed: found >= expected, by: 'counts', says };
}
