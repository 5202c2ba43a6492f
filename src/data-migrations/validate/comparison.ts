/**
 * How values of two columns are made comparable: cast to one type, then given to PostgreSQL's hash functions either as
 * they are or in a form that tells everything that matters.
 *
 * The hash functions of types are made for hash joins, and hide what equality by index does not need: that of `numeric`
 * leaves the sign out, that of `bigint` and `timestamptz` folds 64 bits to 32, that of arrays knows no dimensions, that of
 * `jsonb` no nesting; equal intervals (`1 mon`, `30 days`) and texts under a nondeterministic collation hash equal. Only
 * types without such a gap are hashed as they are; others in their binary form, and what is not built in as text.
 */

/** A type as the catalogue has it, domains resolved. */
export interface ColumnType {
  readonly schema: string;
  readonly name: string;
  /** `pg_type.typtype`: b base, e enum, c composite, r range, m multirange, p pseudo. */
  readonly kind: string;
  /** Name of the function that gives the binary form, or null. */
  readonly send: string | null;
  /** Of an array: its elements' type. */
  readonly element: ColumnType | null;
  /** Of a column: its modifier, by which `numeric(10,2)` is told from `numeric`; -1 where it has none. */
  readonly modifier: number;
}

/** How both sides' values are brought into one form; `cast` is null where they have it. */
export interface Comparison {
  /** Type that both are cast to. */
  readonly as: string;
  readonly hashed: 'itself' | 'sent' | 'text';
  readonly send: string | null;
  /** Scales may differ, and do not matter: `1.0` is `1.00`. */
  readonly trimScale: boolean;
}

const texts = new Set(['text', 'varchar', 'bpchar', 'name', 'char']);
const integers = ['int2', 'int4', 'int8'];
const floats = ['float4', 'float8'];
/** Their hash function reads every bit that is part of the value; of floats it takes -0 for 0 and all NaN for one. */
const hashedAsTheyAre = new Set(['text', 'bool', 'int2', 'int4', 'date', 'uuid', 'bytea', 'oid', ...floats]);

/** Null where two types cannot be compared without an expression that says how. */
export function comparisonOf(source: ColumnType, target: ColumnType): Comparison | null {
  if (isText(source) && isText(target)) return builtIn('text');
  const as = commonType(source, target);
  if (as === null) return null;
  if (!isBuiltIn(as)) return asText;
  const trimScale = as.name === 'numeric' && (source.modifier !== target.modifier || target.modifier < 0);
  return { ...builtIn(as.name, as.send), trimScale };
}

const asText: Comparison = { as: 'pg_catalog.text', hashed: 'text', send: null, trimScale: false };

const builtIn = (name: string, send: string | null = null): Comparison => ({
  as: `pg_catalog."${name}"`,
  hashed: hashedAsTheyAre.has(name) ? 'itself' : send === null ? 'text' : 'sent',
  send,
  trimScale: false,
});

/** The binary form of `regclass` and its like is a number that means nothing in another database. */
const isBuiltIn = ({ schema, name, kind, element }: ColumnType): boolean =>
  schema === 'pg_catalog' &&
  kind !== 'p' &&
  !name.startsWith('reg') &&
  (element === null || isBuiltIn(element));

/** Texts of every sort, and what is written as one word: labels of enums, `citext`. */
const isText = (type: ColumnType): boolean =>
  type.kind === 'e' || (type.schema === 'pg_catalog' ? texts.has(type.name) : type.name === 'citext');

/** The type of the two that can hold the values of both; null where there is none. */
function commonType(source: ColumnType, target: ColumnType): ColumnType | null {
  if (source.element !== null && target.element !== null) {
    const element = isText(source.element) && isText(target.element);
    if (element)
      return {
        ...target,
        schema: 'pg_catalog',
        name: '_text',
        send: 'array_send',
        element: { ...target.element, schema: 'pg_catalog' },
      };
    const common = commonType(source.element, target.element);
    if (common === null) return null;
    return common.name === target.element.name ? target : source;
  }
  // Of two databases each has types of its own making, which are told by their names.
  const ofOneSort = isBuiltIn(source) === isBuiltIn(target);
  if (ofOneSort && source.name === target.name && source.kind === target.kind) return target;
  if (!isBuiltIn(source) || !isBuiltIn(target)) return null;
  for (const widening of [[...integers, 'numeric'], floats, ['json', 'jsonb']]) {
    const [from, to] = [widening.indexOf(source.name), widening.indexOf(target.name)];
    if (from >= 0 && to >= 0) return from > to ? source : target;
  }
  return null;
}

/** What is hashed for a value, as SQL. */
export function hashForm(comparison: Comparison, value: string): string {
  if (comparison.hashed === 'text') return collated(canonicalText(comparison, value));
  const cast = `(${value})::${comparison.as}`;
  if (comparison.hashed === 'itself') return comparison.as === 'pg_catalog."text"' ? collated(cast) : cast;
  const exact = comparison.trimScale ? `pg_catalog.trim_scale(${cast})` : cast;
  return `pg_catalog."${comparison.send}"(${exact})`;
}

/** A value's text: the same wherever and by whatever version it is made, under the settings of `openReaders`. */
export function canonicalText(comparison: Comparison, value: string): string {
  const cast = `(${value})::${comparison.as}`;
  if (comparison.trimScale) return `pg_catalog.trim_scale(${cast})::pg_catalog.text`;
  // -0 plus 0 is 0.
  if (floats.some((name) => comparison.as === `pg_catalog."${name}"`))
    return `(${cast} + '0')::pg_catalog.text`;
  return `${cast}::pg_catalog.text`;
}

/** A collation may take different texts for equal; an expression may have none. */
const collated = (text: string): string => `(${text}) collate pg_catalog."C"`;

/** Whole numbers make their own key hash. */
export const isWholeNumber = ({ as }: Comparison): boolean =>
  integers.some((name) => as === `pg_catalog."${name}"`);

/** A type for people: `text[]`, `billing.money`. */
export function typeName({ schema, name, element }: ColumnType): string {
  if (element !== null) return `${typeName(element)}[]`;
  return schema === 'pg_catalog' ? name : `${schema}.${name}`;
}
