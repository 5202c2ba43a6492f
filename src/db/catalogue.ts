import type {
  Catalogue,
  CatalogueColumn,
  CatalogueConstraint,
  CatalogueFunction,
  CatalogueName,
  CatalogueTable,
  CatalogueType,
  CatalogueUserType,
} from '../catalogue.ts';
import * as queries from './catalogue-queries.ts';
import { sqlstateOf } from './errors.ts';
import type { Session } from './session.ts';

/**
 * Reads the catalogue as it is at one moment, in one round trip, without waiting for anybody's work: only for the
 * expressions of checks a lock is taken at all, for a moment, and if it cannot be had they are left out.
 * The session must not be in a transaction.
 */
export async function readCatalogue(session: Session): Promise<Catalogue> {
  try {
    return await read(session, true);
  } catch (error) {
    if (!textless.has(sqlstateOf(error) ?? '')) throw error;
    return await read(session, false);
  }
}

/** A lock could not be had in time; an object went away while its expression was made into text. */
const textless: ReadonlySet<string> = new Set(['55P03', 'XX000']);

const begin = `begin transaction isolation level repeatable read read only;
  set local search_path = pg_catalog`;

async function read(session: Session, texts: boolean): Promise<Catalogue> {
  const script = [
    begin,
    texts ? "set local lock_timeout = '500ms'" : 'select 1',
    queries.server,
    queries.schemas,
    queries.extensions,
    queries.tables,
    queries.parents,
    queries.columns(texts),
    queries.constraints(texts),
    queries.indexes,
    queries.types,
    queries.functions,
    'commit',
  ].join(';\n');
  try {
    const answers = await session.script(script);
    return catalogueOf(answers.slice(3, -1).map(({ rows }) => rows));
  } catch (error) {
    if (session.alive) await session.query('rollback');
    throw error;
  }
}

function catalogueOf(answers: readonly unknown[][]): Catalogue {
  const [server, schemas, extensions, tables, parents, columns, constraints, indexes, types, functions] =
    answers as [
      queries.ServerRow[],
      queries.NameRow[],
      queries.NameRow[],
      queries.TableRow[],
      queries.ParentRow[],
      queries.ColumnRow[],
      queries.ConstraintRow[],
      queries.IndexRow[],
      queries.UserTypeRow[],
      queries.FunctionRow[],
    ];
  const { version = 0, timeZone = '', blockSize = 8192 } = server[0] ?? {};
  const parts = {
    names: new Map(tables.map(({ oid, schema, name }) => [oid, { schema, name }])),
    parents: byTable(parents),
    columns: byTable(columns),
    constraints: byTable(constraints),
    indexes: byTable(indexes),
    blockSize,
  };
  return {
    serverVersion: version,
    timeZone,
    schemas: schemas.map(({ name }) => name),
    tables: tables.map((row) => tableOf(row, parts)),
    types: types.map(userTypeOf),
    functions: functions.map(functionOf),
    extensions: extensions.map(({ name }) => name),
  };
}

interface Parts {
  readonly names: ReadonlyMap<number, CatalogueName>;
  readonly parents: ReadonlyMap<number, queries.ParentRow[]>;
  readonly columns: ReadonlyMap<number, queries.ColumnRow[]>;
  readonly constraints: ReadonlyMap<number, queries.ConstraintRow[]>;
  readonly indexes: ReadonlyMap<number, queries.IndexRow[]>;
  readonly blockSize: number;
}

function byTable<Row extends { readonly table: number }>(rows: readonly Row[]): ReadonlyMap<number, Row[]> {
  const found = new Map<number, Row[]>();
  for (const row of rows) {
    const list = found.get(row.table);
    if (list === undefined) found.set(row.table, [row]);
    else list.push(row);
  }
  return found;
}

const tableKinds: Readonly<Record<string, CatalogueTable['kind']>> = {
  r: 'table',
  p: 'partitioned',
  m: 'materialized',
  f: 'foreign',
  v: 'view',
};

function tableOf(row: queries.TableRow, parts: Parts): CatalogueTable {
  const { oid, schema, name, kind, isDefault, partitionColumns, rows, pages, scans, writes } = row;
  const columns = parts.columns.get(oid) ?? [];
  const indexes = parts.indexes.get(oid) ?? [];
  const nameOf = new Map(columns.map((column) => [column.number, column.name]));
  const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0);
  return {
    schema,
    name,
    kind: tableKinds[kind] ?? 'table',
    parents: (parts.parents.get(oid) ?? []).flatMap(({ parent }) => parts.names.get(parent) ?? []),
    isDefault,
    partitionColumns,
    columns: columns.map(columnOf),
    constraints: (parts.constraints.get(oid) ?? []).map((constraint) =>
      constraintOf(constraint, nameOf, parts),
    ),
    indexes: indexes.map((index) => ({
      name: index.name,
      columns: index.columns
        .split(' ')
        .slice(0, index.keyColumns)
        .map((number) => nameOf.get(Number(number)) ?? null),
      expressionColumns: (index.expressionColumns ?? []).flatMap((number) => nameOf.get(number) ?? []),
      unique: index.unique,
      partial: index.partial,
      valid: index.valid,
    })),
    figures: {
      rows,
      // A partitioned table has none of its own, and says -1.
      bytes: Math.max(pages, 0) * parts.blockSize,
      indexBytes: sum(indexes.map((index) => Math.max(index.pages, 0))) * parts.blockSize,
      reads: scans + sum(indexes.map((index) => index.scans)),
      writes,
    },
  };
}

const columnOf = (row: queries.ColumnRow): CatalogueColumn => ({
  name: row.name,
  type: typeOf(row),
  notNull: row.notNull,
  defaultValue: row.defaultValue,
  generated: row.generated === '' ? null : row.generated === 'v' ? 'virtual' : 'stored',
  identity: row.identity,
  collation: row.collation,
});

const constraintKinds: Readonly<Record<string, CatalogueConstraint['kind']>> = {
  p: 'primary',
  u: 'unique',
  f: 'foreign',
  c: 'check',
  x: 'exclusion',
  n: 'notNull',
};

function constraintOf(
  row: queries.ConstraintRow,
  nameOf: ReadonlyMap<number, string>,
  parts: Parts,
): CatalogueConstraint {
  const referenced = new Map(
    (parts.columns.get(row.references) ?? []).map(({ number, name }) => [number, name]),
  );
  const names = (numbers: readonly number[] | null, of: ReadonlyMap<number, string>): string[] =>
    (numbers ?? []).flatMap((number) => of.get(number) ?? []);
  return {
    name: row.name,
    kind: constraintKinds[row.kind] ?? 'check',
    columns: names(row.columns, nameOf),
    valid: row.valid,
    references: parts.names.get(row.references) ?? null,
    referencedColumns: names(row.referencedColumns, referenced),
    expression: row.expression,
  };
}

const typeKinds: Readonly<Record<string, CatalogueUserType['kind']>> = {
  e: 'enum',
  d: 'domain',
  c: 'composite',
  r: 'range',
};

function userTypeOf(row: queries.UserTypeRow): CatalogueUserType {
  const { schema, name, labels, constrained } = row;
  const kind = typeKinds[row.kind] ?? 'domain';
  return { schema, name, kind, labels, base: kind === 'domain' ? typeOf(row) : null, constrained };
}

const volatilities: Readonly<Record<string, CatalogueFunction['volatility']>> = {
  i: 'immutable',
  s: 'stable',
};

const functionOf = ({ volatility, ...row }: queries.FunctionRow): CatalogueFunction => ({
  ...row,
  volatility: volatilities[volatility] ?? 'volatile',
});

const typeOf = (row: queries.TypeColumns): CatalogueType => ({
  name: row.type,
  schema: row.typeSchema === 'pg_catalog' ? null : row.typeSchema,
  modifiers: row.typeText === null ? modifiersOf(row.type, row.modifier) : modifiersIn(row.typeText),
  array: row.array,
});

/**
 * A type modifier as PostgreSQL packs it. Sources: varchar.c, numeric.c, timestamp.c, varbit.c; timestamp.h for the
 * fields of an interval.
 */
function modifiersOf(type: string, modifier: number): readonly number[] {
  if (modifier < 0) return none;
  switch (type) {
    case 'varchar':
    case 'bpchar':
      return [modifier - 4];
    case 'numeric': {
      const packed = modifier - 4;
      return [packed >> 16, ((packed & 0x7ff) ^ 0x400) - 0x400];
    }
    case 'interval': {
      const precision = modifier & 0xffff;
      const fields = (modifier >> 16) & 0x7fff;
      return precision === 0xffff ? [fields] : [fields, precision];
    }
    default:
      return [modifier];
  }
}

const none: readonly number[] = [];

/** `geometry(Point,4326)` has the number 4326. */
const modifiersIn = (text: string): number[] =>
  (/\(([^()]*)\)[^(]*$/.exec(text)?.[1] ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => /^-?\d+$/.test(part))
    .map(Number);
