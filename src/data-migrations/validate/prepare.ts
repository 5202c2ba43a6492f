/** Finds out, before anything is read, whether and how two tables can be compared. */
import { AppError } from '../../errors.ts';
import type { Table } from '../../vault/table.ts';
import { type Comparison, comparisonOf, typeName } from './comparison.ts';
import type { ReaderPair } from './readers.ts';
import type { ComparedTable, Mapping } from './request.ts';
import { isKeyOf, nameOf, readSide, readValues, type Side, type SideValue } from './sides.ts';

/** One column of the target with its counterpart. */
export interface Pair {
  /** The target's column. */
  readonly name: string;
  readonly comparison: Comparison;
  readonly source: SideValue;
  readonly target: SideValue;
}

export interface Prepared {
  readonly source: Side;
  readonly target: Side;
  readonly key: readonly Pair[];
  /** Without the key's. */
  readonly columns: readonly Pair[];
  readonly notCompared: { readonly source: readonly string[]; readonly target: readonly string[] };
}

/** @throws AppError `TABLE_NOT_FOUND`, `MAPPING_INVALID`, `KEY_UNUSABLE`, `TYPES_NOT_COMPARABLE` */
export async function prepare(mapping: Mapping, readers: ReaderPair): Promise<Prepared> {
  const source = await readSide(readers.source, mapping.source);
  const target = await readSide(readers.target, mapping.target);
  const keyNames = chooseKey(mapping, source, target);
  const given = withKey(mapping.columns ?? sameNames(source, target), keyNames);
  requireColumns(target, given.keys());
  const fromSource = await readValues(readers.source, source, given);
  const fromTarget = await readValues(
    readers.target,
    target,
    new Map([...given.keys()].map((name) => [name, name])),
  );
  const pairs = [...given.keys()].map((name) =>
    pairOf(mapping, name, fromSource.get(name) as SideValue, fromTarget.get(name) as SideValue),
  );
  const key = keyNames.map((name) => pairs.find((pair) => pair.name === name) as Pair);
  requireKey(
    source,
    key.map((pair) => pair.source.column),
  );
  requireKey(target, keyNames);
  const mentioned = new Set(pairs.flatMap((pair) => [...pair.source.from]));
  return {
    source,
    target,
    key,
    columns: pairs.filter((pair) => !key.includes(pair)),
    notCompared: {
      source: namesOf(source.table).filter((name) => !mentioned.has(name)),
      target: namesOf(target.table).filter((name) => !given.has(name)),
    },
  };
}

const namesOf = (table: Table): string[] => table.columns.map(({ name }) => name);

/** @throws AppError `MAPPING_INVALID` where the target has a column that the source lacks */
function sameNames(source: Side, target: Side): Record<string, string> {
  const known = new Set(namesOf(source.table));
  const missing = namesOf(target.table).filter((name) => !known.has(name));
  if (missing.length > 0)
    throw new AppError(
      'MAPPING_INVALID',
      `${describe(source.place)} has no column ${missing.join(', ')}, which ${describe(target.place)} has. Nothing was compared. Give \`columns\`: for each column of the target that is to be compared, what it comes from.`,
      { database: source.place.database, table: nameOf(source.place), columns: missing },
    );
  return Object.fromEntries(namesOf(target.table).map((name) => [name, name]));
}

const describe = (place: ComparedTable): string => `${nameOf(place)} of ${place.database}`;

/** The key comes first; what it comes from is its own name, unless it is given. */
const withKey = (columns: Readonly<Record<string, string>>, key: readonly string[]): Map<string, string> =>
  new Map([...key.map((name) => [name, columns[name] ?? name] as const), ...Object.entries(columns)]);

/** The key that is asked for; else the first of the target's that is one of the source's as well. */
function chooseKey({ key, columns = {} }: Mapping, source: Side, target: Side): readonly string[] {
  if (key !== undefined) return key;
  if (target.table.keys.length === 0) throw noKey(target, []);
  const found = target.table.keys.find((names) =>
    isKeyOf(
      source.table,
      names.map((name) => columns[name] ?? name),
    ),
  );
  if (found === undefined) throw noKey(source, target.table.keys[0] ?? []);
  return found;
}

function requireColumns(side: Side, names: Iterable<string>): void {
  const known = new Set(namesOf(side.table));
  const unknown = [...names].filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new AppError(
      'MAPPING_INVALID',
      `${describe(side.place)} has no column ${unknown.join(', ')}. Nothing was compared. It has ${[...known].join(', ')}.`,
      { database: side.place.database, table: nameOf(side.place), columns: unknown },
    );
}

function requireKey(side: Side, columns: readonly (string | null)[]): void {
  const plain = columns.filter((name) => name !== null);
  if (plain.length < columns.length)
    throw new AppError(
      'KEY_UNUSABLE',
      `A column of the key comes from an expression over ${describe(side.place)}, by which no row can be found. Nothing was compared. Map the key's columns from columns.`,
      { database: side.place.database, table: nameOf(side.place) },
    );
  if (!isKeyOf(side.table, plain)) throw noKey(side, plain);
}

const noKey = ({ place, table }: Side, columns: readonly string[]): AppError =>
  new AppError(
    'KEY_UNUSABLE',
    `${describe(place)} has no unique key without nulls${columns.length === 0 ? '' : ` within (${columns.join(', ')})`}, by which its rows could be told apart. Nothing was compared. ${table.keys.length === 0 ? 'Make a primary key, or a unique index over columns that are NOT NULL' : `Its keys are ${table.keys.map((key) => `(${key.join(', ')})`).join(', ')}`}.`,
    { database: place.database, table: nameOf(place), columns, keys: table.keys },
  );

function pairOf(mapping: Mapping, name: string, source: SideValue, target: SideValue): Pair {
  const comparison = comparisonOf(source.type, target.type);
  if (comparison !== null) return { name, comparison, source, target };
  const types = { source: typeName(source.type), target: typeName(target.type) };
  throw new AppError(
    'TYPES_NOT_COMPARABLE',
    `The column ${name} of ${describe(mapping.target)} is ${types.target}, and what it comes from in ${describe(mapping.source)} is ${types.source}: whether two such values are the same depends on how one is converted. Nothing was compared. Map the column by an expression that converts, such as (…)::${types.target}.`,
    { column: name, ...types },
  );
}
