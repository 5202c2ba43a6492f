/** How the values of a column become those of the type that it had. */

import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import type { SchemaState } from '../schema/difference.ts';
import { partsOf } from './statement.ts';

export interface Conversion {
  /** Behind USING; null where PostgreSQL knows no way from the one type to the other. */
  readonly using: string | null;
  /** Whether there may be values of which it makes NULL. */
  readonly partial: boolean;
}

/** Types as PostgreSQL prints them, and the column's name in quotes. */
export interface Retyping {
  readonly column: string;
  readonly from: string;
  readonly to: string;
}

const integers: Readonly<Record<string, readonly [number: number, from: string, to: string]>> = {
  smallint: [2, '-32768', '32767'],
  integer: [4, '-2147483648', '2147483647'],
  bigint: [8, '-9223372036854775808', '9223372036854775807'],
};

/** Reads only. `session` is in the database that has the types as they are now. */
export async function conversion(
  session: Session,
  { column, from, to }: Retyping,
  now: SchemaState,
  wanted: SchemaState,
): Promise<Conversion> {
  const labels = labelsOf(wanted, to);
  const array = /\[\]$/.test(to);
  if (labels !== null && /\[\]$/.test(from) === array) {
    const had = labelsOf(now, from);
    const whole = `${column}::text${array ? '[]' : ''}::${to}`;
    if (had?.every((label) => labels.includes(label)) === true) return { using: whole, partial: false };
    const range = `enum_range(NULL::${to.replace(/\[\]$/, '')})::text[]`;
    const fits = array ? `${column}::text[] <@ ${range}` : `${column}::text = ANY (${range})`;
    if (had !== null || isText(from)) return { using: `CASE WHEN ${fits} THEN ${whole} END`, partial: true };
  }
  if (!(await canCast(session, `NULL::${from}::${to}`))) {
    // Between booleans and the wider numbers by way of the one that PostgreSQL knows.
    return (await canCast(session, `NULL::${from}::integer::${to}`)) && !isText(from) && !isText(to)
      ? { using: `${column}::integer::${to}`, partial: false }
      : { using: null, partial: true };
  }
  const plain = `${column}::${to}`;
  const fits = await condition(session, column, from, to);
  return fits === null
    ? { using: plain, partial: false }
    : { using: `CASE WHEN ${fits} THEN ${plain} END`, partial: true };
}

/** When a value can be cast, and nothing of it is cut off by that; null where each can, or where only trying tells. */
async function condition(session: Session, column: string, from: string, to: string): Promise<string | null> {
  const length = /^(character varying|character|bit varying|bit)\((\d+)\)$/.exec(to);
  if (length !== null) return lengthFits(column, from, length[1] ?? '', Number(length[2]));
  if (isNumber(from)) return numberFits(column, from, to);
  const moment = /^(?:timestamp|time)(?:\(\d\))? (with(?:out)? time zone)$/.exec(from)?.[1];
  if (moment !== undefined)
    return to === 'date' || (from !== to && /\(\d\)/.test(to) && to.endsWith(moment))
      ? `${column}::${to} = ${column}`
      : null;
  if (!isText(from) || /^(text|character|citext|bytea)\b/.test(to)) return null;
  // Known since 16.
  const known = await canCast(session, `pg_catalog.pg_input_is_valid('1', 'integer')`);
  const reads = (type: string): string | null =>
    known
      ? `pg_input_is_valid(${column}, '${type.replaceAll("'", "''")}')`
      : (looksLike(column, type) ?? null);
  const isNarrow = /^numeric\(/.test(to) || (!known && integers[to] !== undefined);
  if (!isNarrow) return reads(to);
  const [number, narrow] = [reads('numeric'), numberFits(`${column}::numeric`, 'numeric', to)];
  return number === null ? null : [number, ...(narrow === null ? [] : [narrow])].join(' AND ');
}

function lengthFits(column: string, from: string, type: string, most: number): string | null {
  const had = /^(character varying|character|bit varying|bit)\((\d+)\)$/.exec(from);
  if (type === 'bit') return `length(${column}) = ${most}`;
  if (had !== null && Number(had[2]) <= most) return null;
  return `length(${type === 'bit varying' || isText(from) ? column : `${column}::text`}) <= ${most}`;
}

/** Numbers that lose no digit. */
function numberFits(column: string, from: string, to: string): string | null {
  const [size, least, most] = integers[to] ?? [0];
  const isWhole = integers[from] !== undefined;
  if (size > 0) {
    if ((integers[from]?.[0] ?? 16) <= size) return null;
    const range = `${column} BETWEEN ${least} AND ${most}`;
    return isWhole ? range : `${range} AND trunc(${column}) = ${column}`;
  }
  const limits = /^numeric\((\d+),(-?\d+)\)$/.exec(to);
  const number = /^(real|double)/.test(from) ? `${column}::text::numeric` : column;
  if (limits !== null) {
    const [digits, scale] = [Number(limits[1]), Number(limits[2])];
    return `round(${number}, ${scale}) = ${number} AND abs(${number}) < 1e${digits - scale}`;
  }
  if (to === 'real' && from === 'double precision')
    return `(${column} = 0 OR abs(${column}) BETWEEN 1e-37 AND 3.4e38) AND ${column}::real::text::double precision = ${column}`;
  const digits = to === 'real' ? 6 : 15;
  if (to === 'double precision' || to === 'real')
    return (isWhole && (integers[from]?.[0] ?? 0) * 2 < digits) || /^(real|double)/.test(from)
      ? null
      : `abs(${column}) < 1e37 AND ${column}::${to}::text::numeric = ${column}`;
  return null;
}

/** A test of a text's form, for what PostgreSQL before 16 can only try. */
function looksLike(column: string, type: string): string | undefined {
  const forms: Readonly<Record<string, string>> = {
    numeric: String.raw`^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?\s*$`,
    'double precision': String.raw`^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?\s*$`,
    real: String.raw`^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d)?\s*$`,
    uuid: '^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$',
    boolean: String.raw`^\s*([tT]rue|[fF]alse|[tTfFyYnN01]|[yY]es|[nN]o|[oO]n|[oO]ff)\s*$`,
  };
  const form = forms[type];
  return form === undefined ? undefined : `${column} ~ '${form}'`;
}

const isNumber = (type: string): boolean =>
  /^(smallint|integer|bigint|numeric|real|double precision)\b/.test(type);

const isText = (type: string): boolean => /^(text|character varying|character|citext)(\(\d+\))?$/.test(type);

async function canCast(session: Session, expression: string): Promise<boolean> {
  try {
    await session.query(`select ${expression}`);
    return true;
  } catch (error) {
    if (!(error instanceof AppError) || typeof error.details.sqlstate !== 'string' || !session.alive)
      throw error;
    // A type that is still to be made: what it can be made of is told when it is.
    return error.details.sqlstate === '42704';
  }
}

/** Of an enum, or an array of one; null for any other type. */
function labelsOf({ model }: SchemaState, type: string): readonly string[] | null {
  const [schema, name] = partsOf(type.replace(/\[\]$/, ''));
  if (schema === undefined || name === undefined) return null;
  const fact = model.facts.get({ kind: 'type', schema, name });
  const values = fact?.payload.variant === 'enum' ? fact.payload.values : null;
  return Array.isArray(values) ? values.map(String) : null;
}
