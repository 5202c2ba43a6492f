/** Reads column definitions and constraints out of the parse tree. */
import {
  type ColumnDef,
  type Constraint,
  modifiersOf,
  type Node,
  nameParts,
  qualified,
  relationName,
  strings,
  type TypeName,
  visitNodes,
} from '../../sql/tree.ts';
import type { ColumnType, ConstraintKind } from '../schema/model.ts';
import type { Schema } from '../schema/schema.ts';
import type { NewColumn, NewConstraint } from './change.ts';

const serials: Readonly<Record<string, string>> = {
  serial: 'int4',
  serial4: 'int4',
  bigserial: 'int8',
  serial8: 'int8',
  smallserial: 'int2',
  serial2: 'int2',
};

const constraintKinds: Readonly<Record<string, ConstraintKind>> = {
  CONSTR_PRIMARY: 'primary',
  CONSTR_UNIQUE: 'unique',
  CONSTR_EXCLUSION: 'exclusion',
  CONSTR_FOREIGN: 'foreign',
  CONSTR_CHECK: 'check',
  CONSTR_NOTNULL: 'notNull',
};

export function readType(type: TypeName | undefined): ColumnType {
  const name = qualified(strings(type?.names));
  return {
    // The grammar gives its own names (`int4` for INTEGER) the schema pg_catalog.
    schema: name.schema === 'pg_catalog' ? null : name.schema,
    name: name.name,
    modifiers: type === undefined ? [] : modifiersOf(type),
    array: (type?.arrayBounds ?? []).length > 0,
  };
}

export function readColumn(definition: ColumnDef, table: string, schema: Schema): NewColumn {
  const name = definition.colname ?? '';
  const written = (definition.constraints ?? []).flatMap((node) =>
    'Constraint' in node ? [node.Constraint] : [],
  );
  const of = (kind: string): Constraint | undefined => written.find(({ contype }) => contype === kind);
  const type = readType(definition.typeName);
  const serial = type.schema === null ? serials[type.name] : undefined;
  const identity = of('CONSTR_IDENTITY') !== undefined;
  const generated = of('CONSTR_GENERATED');
  return {
    name,
    type: serial === undefined ? type : { ...type, name: serial },
    serial: serial !== undefined,
    notNull:
      serial !== undefined ||
      identity ||
      of('CONSTR_NOTNULL') !== undefined ||
      of('CONSTR_PRIMARY') !== undefined,
    defaultValue: of('CONSTR_DEFAULT')?.raw_expr ?? null,
    generated: generated === undefined ? null : generated.generated_kind === 'v' ? 'virtual' : 'stored',
    identity,
    collation: nameParts({ List: { items: definition.collClause?.collname ?? [] } }).at(-1) ?? null,
    constraints: written.flatMap((constraint) => readConstraint(constraint, table, schema, name)),
    at: definition.location ?? null,
  };
}

/** None for what is a property of a column (NULL, DEFAULT, GENERATED). `column`: the one behind which it stands. */
export function readConstraint(
  constraint: Constraint,
  table: string,
  schema: Schema,
  column?: string,
): NewConstraint[] {
  const kind = constraintKinds[constraint.contype ?? ''];
  if (kind === undefined || (kind === 'notNull' && column !== undefined)) return [];
  const columns = columnsOf(constraint, kind, column);
  const references =
    constraint.pktable === undefined ? null : schema.tableKey(relationName(constraint.pktable));
  return [
    {
      kind,
      name: constraint.conname ?? chosenName(table, columns, kind),
      named: constraint.conname !== undefined,
      columns,
      notValid: constraint.skip_validation === true,
      enforced: constraint.is_enforced === true,
      usingIndex: constraint.indexname ?? null,
      references,
      referencedColumns: strings(constraint.pk_attrs),
      expression: constraint.raw_expr ?? null,
      at: constraint.location ?? null,
    },
  ];
}

function columnsOf(constraint: Constraint, kind: ConstraintKind, column: string | undefined): string[] {
  if (kind === 'foreign') return column === undefined ? strings(constraint.fk_attrs) : [column];
  if (kind === 'check') return columnsIn(constraint.raw_expr);
  if (kind === 'exclusion')
    return (constraint.exclusions ?? []).flatMap((item) => {
      const [element] = 'List' in item ? (item.List.items ?? []) : [];
      return element !== undefined && 'IndexElem' in element ? [element.IndexElem.name ?? ''] : [];
    });
  const named = strings(constraint.keys);
  return named.length > 0 || column === undefined ? named : [column];
}

/** The columns that an expression names. */
export function columnsIn(expression: Node | readonly Node[] | undefined): string[] {
  const found = new Set<string>();
  visitNodes(expression, (kind, value) => {
    if (kind !== 'ColumnRef') return;
    const name = strings(value.fields as Node[]).at(-1);
    if (name !== undefined) found.add(name);
  });
  return [...found];
}

const suffixes: Readonly<Record<ConstraintKind, string>> = {
  primary: 'pkey',
  unique: 'key',
  foreign: 'fkey',
  check: 'check',
  exclusion: 'excl',
  notNull: 'not_null',
};

/** As ChooseConstraintName and ChooseIndexName do, but for names that are taken or too long. */
function chosenName(table: string, columns: readonly string[], kind: ConstraintKind): string {
  const name = table.slice(table.indexOf('.') + 1);
  // A check of several columns, and a primary key, have no column in their names.
  const listed = kind === 'primary' || (kind === 'check' && columns.length !== 1) ? [] : columns;
  return [name, ...listed, suffixes[kind]].join('_');
}
