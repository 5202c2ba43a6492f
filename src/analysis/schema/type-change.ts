/**
 * What ALTER COLUMN … TYPE costs, decided as PostgreSQL decides it from its catalogue: the old values may stay as they
 * are (binary-coercible types, a wider limit), or every row is written anew. Sources: ATColumnChangeRequiresRewrite and
 * TryReuseIndex in tablecmds.c, pg_cast, the support functions of varchar, numeric and the date types.
 */
import { type Node, strings } from '../../sql/tree.ts';
import { readType } from '../changes/columns.ts';
import type { Column, ColumnType, UserType } from './model.ts';
import type { Schema } from './schema.ts';

export interface TypeChange {
  /** Every row is written anew, and with it every index. */
  readonly rewrite: boolean;
  /** Only between timestamp and timestamptz: free where the session's TimeZone is UTC. */
  readonly unlessUtc: boolean;
  /** Without a rewrite: indexes on the column are built anew, since their operator class or collation is another. */
  readonly rebuildsIndexes: boolean;
  /** Some value of the old type may have no place in the new one. */
  readonly mayFail: boolean;
  /** Values may be rounded or cut. */
  readonly rounds: boolean;
}

const free: TypeChange = {
  rewrite: false,
  unlessUtc: false,
  rebuildsIndexes: false,
  mayFail: false,
  rounds: false,
};

/** Pairs that share their representation, and whether indexes survive. Source: pg_cast with castmethod `b`. */
const coercible: Readonly<Record<string, readonly [to: string, keepsIndexes: boolean][]>> = {
  text: [
    ['varchar', true],
    ['citext', false],
    ['bpchar', false],
  ],
  varchar: [
    ['text', true],
    ['citext', false],
    ['bpchar', false],
  ],
  citext: [
    ['text', false],
    ['varchar', false],
    ['bpchar', false],
  ],
  xml: [
    ['text', false],
    ['varchar', false],
  ],
  cidr: [['inet', true]],
  bit: [['varbit', false]],
  varbit: [['bit', false]],
  int4: [['oid', false]],
  oid: [['int4', false]],
};

const widerIntegers = ['int2', 'int4', 'int8', 'numeric', 'float4', 'float8'];

/** `from` null: the column is not known. */
export function typeChange(
  from: Column | null,
  to: { type: ColumnType; using: Node | null; collation: string | null; column: string },
  schema: Schema,
): TypeChange {
  if (from === null) return { ...free, rewrite: true, mayFail: true };
  const old = baseOf(from.type, schema);
  const target = baseOf(to.type, schema);
  if (to.using !== null && !isPlainCast(to.using, to, schema))
    return { ...free, rewrite: true, mayFail: mayFail(old.type, target.type, schema) };
  const collation = from.collation !== to.collation;
  if (sameType(from.type, to.type)) return { ...free, rebuildsIndexes: collation };
  if (target.constrained) return { ...free, rewrite: true, mayFail: true };
  if (sameType(old.type, target.type)) return { ...free, rebuildsIndexes: collation };
  return { ...changeOf(old.type, target.type, schema), ...(collation ? { rebuildsIndexes: true } : {}) };
}

function changeOf(from: ColumnType, to: ColumnType, schema: Schema): TypeChange {
  const failing = mayFail(from, to, schema);
  if (from.array !== to.array) return { ...free, rewrite: true, mayFail: failing };
  if (from.name === to.name && from.schema === to.schema) {
    const wider = holds(from, to);
    // An array's elements are coerced one by one, unless no limit is asked for.
    const stays = wider && (!from.array || to.modifiers.length === 0);
    return stays
      ? free
      : { ...free, rewrite: true, mayFail: !wider && !rounds(to), rounds: !wider && rounds(to) };
  }
  if (isTimestamp(from) && isTimestamp(to)) {
    // With digits given their rounding is a function, and called for every row.
    const kept = !from.array && to.modifiers.length === 0;
    return {
      ...free,
      rewrite: true,
      unlessUtc: kept,
      rebuildsIndexes: kept,
      rounds: precision(to) < precision(from),
    };
  }
  const pair = from.array ? undefined : coercible[from.name]?.find(([name]) => name === to.name);
  // A length has to be checked for every value.
  if (pair === undefined || to.modifiers.length > 0) return { ...free, rewrite: true, mayFail: failing };
  return { ...free, rebuildsIndexes: !pair[1] };
}

/** A domain stands for its type; one with constraints is checked for every row. */
function baseOf(type: ColumnType, schema: Schema, depth = 0): { type: ColumnType; constrained: boolean } {
  const known: UserType | undefined = schema.types.get(schema.typeKey(type));
  // Domains cannot go round in a circle; a file that says so fails.
  if (known?.kind !== 'domain' || known.base === null || type.array || depth > 10)
    return { type, constrained: false };
  const base = baseOf(known.base, schema, depth + 1);
  return { type: base.type, constrained: known.constrained || base.constrained };
}

/** Whether values of both types are compared by the same operator, so that what was found equal stays so. */
export function comparedAlike(a: ColumnType, b: ColumnType, schema: Schema): boolean {
  const [one, other] = [a, b].map((type) => baseOf(type, schema).type);
  const asText = ({ name }: ColumnType): string => (name === 'varchar' ? 'text' : name);
  return (
    one !== undefined && other !== undefined && one.array === other.array && asText(one) === asText(other)
  );
}

const sameType = (a: ColumnType, b: ColumnType): boolean =>
  a.name === b.name &&
  a.schema === b.schema &&
  a.array === b.array &&
  a.modifiers.length === b.modifiers.length &&
  a.modifiers.every((modifier, index) => modifier === b.modifiers[index]);

/** Whether every value of the old limits fits the new ones, so that the values may stay. */
function holds(from: ColumnType, to: ColumnType): boolean {
  const [fromFirst, fromScale = 0] = from.modifiers;
  const [toFirst, toScale = 0] = to.modifiers;
  if (isTimed(from)) return precision(to) >= precision(from);
  if (toFirst === undefined) return from.name !== 'bpchar';
  if (fromFirst === undefined) return false;
  if (from.name === 'varchar' || from.name === 'varbit') return toFirst >= fromFirst;
  if (from.name === 'numeric') return toScale === fromScale && toFirst >= fromFirst;
  return false;
}

const isTimestamp = ({ name }: ColumnType): boolean => name === 'timestamp' || name === 'timestamptz';
const isTimed = (type: ColumnType): boolean =>
  isTimestamp(type) || ['time', 'timetz', 'interval'].includes(type.name);
/** Digits of the seconds; microseconds where none are named. */
const precision = (type: ColumnType): number => type.modifiers.at(-1) ?? 6;
const rounds = (to: ColumnType): boolean => isTimed(to) || to.name === 'numeric';

function mayFail(from: ColumnType, to: ColumnType, schema: Schema): boolean {
  if (to.array) return !from.array || mayFail({ ...from, array: false }, { ...to, array: false }, schema);
  if (['text', 'varchar', 'citext'].includes(to.name) && to.modifiers.length === 0) return false;
  const enumFrom = schema.types.get(schema.typeKey(from));
  const enumTo = schema.types.get(schema.typeKey(to));
  if (enumFrom?.kind === 'enum' && enumTo?.kind === 'enum')
    return enumFrom.labels.some((label) => !enumTo.labels.includes(label));
  const wider = widerIntegers.indexOf(to.name);
  if (wider >= 0 && to.modifiers.length === 0 && widerIntegers.includes(from.name))
    return wider < widerIntegers.indexOf(from.name);
  if (from.name === to.name) return !holds(from, to) && !rounds(to);
  if (isTimestamp(to) && (isTimestamp(from) || from.name === 'date')) return false;
  return !(from.name === 'json' && to.name === 'jsonb') && !(from.name === 'jsonb' && to.name === 'json');
}

/** `USING "a"::text` where the new type is text: the cast that PostgreSQL would make by itself. */
export function isPlainCast(using: Node, to: { type: ColumnType; column: string }, schema: Schema): boolean {
  if ('ColumnRef' in using) return strings(using.ColumnRef.fields).at(-1) === to.column;
  if (!('TypeCast' in using) || using.TypeCast.arg === undefined) return false;
  return (
    sameType(readType(using.TypeCast.typeName, schema), to.type) &&
    isPlainCast(using.TypeCast.arg, to, schema)
  );
}
