/** Reads column definitions and constraints out of the parse tree. */
import {
  type ColumnDef,
  type Constraint,
  type IndexElem,
  modifiersOf,
  type Node,
  qualified,
  relationName,
  strings,
  type TypeName,
  visitNodes,
} from '../../sql/tree.ts';
import type { ColumnType, ConstraintKind } from '../schema/model.ts';
import { type Schema, splitKey } from '../schema/schema.ts';
import type { NewColumn, NewConstraint } from './change.ts';
import { constraintName } from './names.ts';

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

/** Without the schema a user's type is not told from an extension's. */
export function readType(type: TypeName | undefined, schema?: Schema): ColumnType {
  const written = qualified(strings(type?.names));
  const key = written.schema === 'pg_catalog' ? undefined : schema?.typeKey(written);
  const modifiers = type === undefined ? [] : modifiersOf(type);
  return {
    schema: key !== undefined && schema?.types.has(key) === true ? splitKey(key).schema : null,
    name: written.name,
    // Where no scale is given it is 0.
    modifiers: written.name === 'numeric' && modifiers.length === 1 ? [...modifiers, 0] : modifiers,
    array: (type?.arrayBounds ?? []).length > 0,
  };
}

/** Null where it is the type's own. */
export function collationOf({ collClause }: ColumnDef): string | null {
  const name = strings(collClause?.collname).at(-1) ?? null;
  return name === 'default' ? null : name;
}

export function readColumn(definition: ColumnDef, table: string, schema: Schema): NewColumn {
  const name = definition.colname ?? '';
  const written = (definition.constraints ?? []).flatMap((node) =>
    'Constraint' in node ? [node.Constraint] : [],
  );
  const of = (kind: string): Constraint | undefined => written.find(({ contype }) => contype === kind);
  const type = readType(definition.typeName, schema);
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
    defaultValue: asDefault(of('CONSTR_DEFAULT')?.raw_expr),
    generated: generated === undefined ? null : generated.generated_kind === 'v' ? 'virtual' : 'stored',
    identity,
    collation: collationOf(definition),
    constraints: written.flatMap((constraint) => readConstraint(constraint, table, schema, name)),
    at: definition.location ?? null,
  };
}

/** PostgreSQL keeps no default that is NULL. */
export function asDefault(expression: Node | undefined): Node | null {
  if (expression === undefined) return null;
  if ('TypeCast' in expression && asDefault(expression.TypeCast.arg) === null) return null;
  return 'A_Const' in expression && expression.A_Const.isnull === true ? null : expression;
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
      name: constraint.conname ?? constraint.indexname ?? constraintName(table, columns, kind),
      named: constraint.conname !== undefined || constraint.indexname !== undefined,
      columns,
      notValid: constraint.skip_validation === true,
      // Keys are always enforced; the grammar does not say so.
      enforced: constraint.is_enforced === true || (kind !== 'check' && kind !== 'foreign'),
      usingIndex: constraint.indexname ?? null,
      references,
      referencedColumns: strings(constraint.pk_attrs),
      expression: constraint.raw_expr ?? null,
      index: kind === 'exclusion' ? exclusionIndex(constraint) : null,
      at: constraint.location ?? null,
    },
  ];
}

function columnsOf(constraint: Constraint, kind: ConstraintKind, column: string | undefined): string[] {
  if (kind === 'foreign') return column === undefined ? strings(constraint.fk_attrs) : [column];
  if (kind === 'check') return columnsIn(constraint.raw_expr);
  if (kind === 'exclusion') return partsOf(constraint).flatMap((part) => part.name ?? []);
  const named = strings(constraint.keys);
  return named.length > 0 || column === undefined ? named : [column];
}

const partsOf = ({ exclusions }: Constraint): IndexElem[] =>
  (exclusions ?? []).flatMap((item) => {
    const [part] = 'List' in item ? (item.List.items ?? []) : [];
    return part !== undefined && 'IndexElem' in part ? [part.IndexElem] : [];
  });

function exclusionIndex(constraint: Constraint): NewConstraint['index'] {
  const parts = partsOf(constraint);
  const where = constraint.where_clause;
  return {
    columns: parts.map((part) => part.name ?? null),
    expressionColumns: columnsIn([
      ...parts.flatMap(({ expr }) => expr ?? []),
      ...(where === undefined ? [] : [where]),
    ]),
    partial: where !== undefined,
  };
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
