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

/** When a value can be cast; null where each can, or where only trying tells. */
async function condition(session: Session, column: string, from: string, to: string): Promise<string | null> {
  const [size, least, most] = integers[to] ?? [0];
  const isNumber = /^(smallint|integer|bigint|numeric|real|double precision)\b/.test(from);
  if (size > 0 && isNumber)
    return (integers[from]?.[0] ?? 16) > size ? `${column} BETWEEN ${least} AND ${most}` : null;
  const asText = isText(from) ? column : isNumber && /^numeric\(/.test(to) ? `${column}::text` : null;
  if (asText === null || /^(text|character|citext|bytea)\b/.test(to)) return null;
  // Known since 16.
  const known = await canCast(session, `pg_catalog.pg_input_is_valid('1', 'integer')`);
  return known ? `pg_input_is_valid(${asText}, '${to.replaceAll("'", "''")}')` : null;
}

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
