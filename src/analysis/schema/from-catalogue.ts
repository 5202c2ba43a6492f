/** A schema, and facts, from what was read of a live database. Everything in it is older than any migration. */
import type { Catalogue, CatalogueFigures, CatalogueTable, CatalogueType } from '../../catalogue.ts';
import { type Node, parseExpression } from '../../sql/tree.ts';
import { asDefault } from '../changes/columns.ts';
import type { Facts, TableFacts } from '../facts.ts';
import type { Column, ColumnType, Constraint, Table } from './model.ts';
import { keyOf, Schema } from './schema.ts';

const since = -1;

export function schemaFrom(catalogue: Catalogue, options: { defaultSchema: string }): Schema {
  const schema = new Schema({ defaultSchema: options.defaultSchema, complete: true });
  const expressions = new Expressions();
  const own = new Set(catalogue.types.map((type) => keyOf(type.schema, type.name)));
  schema.schemas.clear();
  for (const name of catalogue.schemas) schema.schemas.add(name);
  for (const name of catalogue.extensions) schema.extensions.add(name);
  for (const { schema: inSchema, name, kind, labels, base, constrained } of catalogue.types) {
    const key = keyOf(inSchema, name);
    const of = base === null ? null : asWritten(base, own);
    schema.types.set(key, { key, name, kind, labels, base: of, constrained, since });
  }
  for (const { schema: inSchema, ...called } of catalogue.functions) {
    const key = keyOf(inSchema, called.name);
    schema.functions.set(key, { ...called, key, since });
  }
  for (const table of catalogue.tables) {
    const made = tableFrom(table, own, expressions);
    schema.tables.set(made.key, made);
    if (made.parents.length > 0) schema.hasChildren = true;
    for (const { references } of made.constraints.values())
      if (references !== null) schema.noteReference(made.key, references);
    for (const { name, columns, expressionColumns, unique, partial, valid } of table.indexes) {
      const key = keyOf(table.schema, name);
      // An index that is not valid holds nothing to be unique.
      schema.indexes.set(key, {
        key,
        name,
        table: made.key,
        columns,
        expressionColumns,
        unique: unique && valid,
        partial,
        since,
      });
    }
  }
  return schema;
}

function tableFrom(table: CatalogueTable, own: ReadonlySet<string>, expressions: Expressions): Table {
  const notYet = new Set(
    table.constraints.flatMap(({ kind, valid, columns }) => (kind === 'notNull' && !valid ? columns : [])),
  );
  const columns = table.columns.map((column): Column => {
    const { name, generated, identity, collation } = column;
    const defaultValue = expressions.isNull(column.defaultValue) ? null : column.defaultValue;
    return {
      name,
      type: asWritten(column.type, own),
      // PostgreSQL sets its mark for a NOT NULL that is not validated, too.
      notNull: column.notNull && !notYet.has(name),
      // Most are never looked at. A spread takes the tree over.
      get defaultValue() {
        return typeof defaultValue === 'string' ? (expressions.parse(defaultValue) ?? true) : defaultValue;
      },
      generated,
      identity,
      collation,
      since,
    };
  });
  const constraints = table.constraints.map((constraint): Constraint => {
    const { name, kind, valid, references, referencedColumns, expression } = constraint;
    return {
      name,
      kind,
      columns: constraint.columns,
      valid,
      references: references === null ? null : keyOf(references.schema, references.name),
      referencedColumns,
      get expression() {
        return expression === null ? null : expressions.parse(expression);
      },
      since,
    };
  });
  return {
    key: keyOf(table.schema, table.name),
    schema: table.schema,
    name: table.name,
    kind: table.kind,
    temporary: false,
    since,
    columns: new Map(columns.map((column) => [column.name, column])),
    columnsKnown: true,
    constraints: new Map(constraints.map((constraint) => [constraint.name, constraint])),
    indexes: new Set(table.indexes.map(({ name }) => keyOf(table.schema, name))),
    parents: table.parents.map((parent) => keyOf(parent.schema, parent.name)),
    isDefault: table.isDefault,
    partitionColumns: table.partitionColumns,
  };
}

/** The schema is that of a user's type; PostgreSQL's own and extensions' types are known by their names. */
const asWritten = (type: CatalogueType, own: ReadonlySet<string>): ColumnType =>
  type.schema === null || own.has(keyOf(type.schema, type.name)) ? type : { ...type, schema: null };

/** Parses each text once, and only when its tree is asked for. */
class Expressions {
  readonly #parsed = new Map<string, Node | null>();

  /** Of a type with a length PostgreSQL keeps a default that is NULL, as `NULL::character varying`. */
  isNull(text: string | true | null): boolean {
    if (typeof text !== 'string' || !/^\(*NULL\b/.test(text)) return false;
    const node = this.parse(text);
    return node !== null && asDefault(node) === null;
  }

  parse(text: string): Node | null {
    const known = this.#parsed.get(text);
    if (known !== undefined) return known;
    const node = parseExpression(text);
    this.#parsed.set(text, node);
    return node;
  }
}

export function factsFrom(catalogue: Catalogue): Facts {
  const tables = new Map<string, TableFacts>();
  const children = new Map<string, CatalogueTable[]>();
  for (const table of catalogue.tables) {
    tables.set(keyOf(table.schema, table.name), table.figures);
    for (const parent of table.parents) {
      const key = keyOf(parent.schema, parent.name);
      children.set(key, [...(children.get(key) ?? []), table]);
    }
  }
  // A partitioned table has no rows of its own: what is done to it is done to its partitions.
  for (const { schema, name, kind } of catalogue.tables)
    if (kind === 'partitioned') tables.set(keyOf(schema, name), sum(leaves(keyOf(schema, name), children)));
  return { serverVersion: catalogue.serverVersion, timeZone: catalogue.timeZone, tables };
}

const leaves = (key: string, children: ReadonlyMap<string, readonly CatalogueTable[]>): CatalogueFigures[] =>
  (children.get(key) ?? []).flatMap(({ schema, name, kind, figures }) =>
    kind === 'partitioned' ? leaves(keyOf(schema, name), children) : [figures],
  );

function sum(all: readonly CatalogueFigures[]): TableFacts {
  const add = (figure: (figures: CatalogueFigures) => number): number =>
    all.reduce((total, figures) => total + Math.max(figure(figures), 0), 0);
  return {
    rows: all.length > 0 && all.every(({ rows }) => rows < 0) ? -1 : add(({ rows }) => rows),
    bytes: add(({ bytes }) => bytes),
    indexBytes: add(({ indexBytes }) => indexBytes),
    reads: add(({ reads }) => reads),
    writes: add(({ writes }) => writes),
  };
}
