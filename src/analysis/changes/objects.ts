/** Reads statements on whole objects: what drops, renames and moves them, and what makes types, views and functions. */
import {
  type AlterDomainStmt,
  type AlterEnumStmt,
  type AlterObjectSchemaStmt,
  type CompositeTypeStmt,
  type CreateDomainStmt,
  type CreateEnumStmt,
  type CreateFunctionStmt,
  type CreateRangeStmt,
  type CreateTrigStmt,
  constantOf,
  type DropStmt,
  type Node,
  nameParts,
  qualified,
  type ReindexStmt,
  type RenameStmt,
  relationName,
  strings,
  type VacuumStmt,
  type ViewStmt,
} from '../../sql/tree.ts';
import type { TableKind } from '../schema/model.ts';
import { type Schema, splitKey } from '../schema/schema.ts';
import type { Change } from './change.ts';
import { readType } from './columns.ts';

const droppedTables: Readonly<Record<string, TableKind>> = {
  OBJECT_TABLE: 'table',
  OBJECT_FOREIGN_TABLE: 'foreign',
  OBJECT_MATVIEW: 'materialized',
  OBJECT_VIEW: 'view',
};

export function readDrop(node: DropStmt, schema: Schema): Change[] {
  const cascade = node.behavior === 'DROP_CASCADE';
  const ifExists = node.missing_ok === true;
  const what = String(node.removeType);
  return (node.objects ?? []).flatMap((object): Change[] => {
    const parts = namesOf(object);
    const name = qualified(parts);
    const tableKind = droppedTables[what];
    if (tableKind !== undefined) {
      const table = schema.tableKey(name);
      if (ifExists && schema.complete && !schema.tables.has(table)) return [];
      return [{ kind: 'dropTable', table, tableKind, cascade, ifExists }];
    }
    if (what === 'OBJECT_INDEX') {
      const index = schema.indexKey(name);
      if (ifExists && schema.complete && !schema.indexes.has(index)) return [];
      return [{ kind: 'dropIndex', index, concurrently: node.concurrent === true, ifExists, cascade }];
    }
    if (what === 'OBJECT_TYPE' || what === 'OBJECT_DOMAIN')
      return [{ kind: 'dropType', type: schema.typeKey(name), cascade, ifExists }];
    if (what === 'OBJECT_SCHEMA') {
      if (ifExists && schema.complete && !schema.schemas.has(name.name)) return [];
      return [{ kind: 'dropSchema', schema: name.name, cascade, ifExists }];
    }
    if (what === 'OBJECT_EXTENSION') return [{ kind: 'extension', name: name.name, action: 'drop', cascade }];
    if (what === 'OBJECT_FUNCTION' || what === 'OBJECT_PROCEDURE' || what === 'OBJECT_ROUTINE')
      return [{ kind: 'dropFunction', function: schema.functionKey(name), cascade, ifExists }];
    if (what === 'OBJECT_TRIGGER')
      return [
        {
          kind: 'dropTrigger',
          table: schema.tableKey(qualified(parts.slice(0, -1))),
          name: parts.at(-1) ?? '',
          cascade,
        },
      ];
    return [{ kind: 'dropOther', what: what.replace('OBJECT_', ''), name: parts.join('.'), cascade }];
  });
}

/** What is dropped stands as a list of names, a type's name, or a function with its arguments. */
function namesOf(object: Node): string[] {
  return 'ObjectWithArgs' in object ? strings(object.ObjectWithArgs.objname) : nameParts(object);
}

export function readRename(node: RenameStmt, schema: Schema): Change[] {
  const to = node.newname ?? '';
  const relation = relationName(node.relation);
  const table = schema.tableKey(relation);
  const missing = node.missing_ok === true && schema.complete;
  switch (node.renameType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_FOREIGN_TABLE': {
      // ALTER TABLE … RENAME works on indexes too.
      const index = schema.indexKey(relation);
      if (!schema.tables.has(table) && schema.indexes.has(index)) return [{ kind: 'renameIndex', index, to }];
      return missing && !schema.tables.has(table) ? [] : [{ kind: 'renameTable', table, to }];
    }
    case 'OBJECT_COLUMN':
      return missing && !schema.tables.has(table)
        ? []
        : [{ kind: 'renameColumn', table, column: node.subname ?? '', to }];
    case 'OBJECT_TABCONSTRAINT':
      return [{ kind: 'renameConstraint', table, name: node.subname ?? '', to }];
    case 'OBJECT_INDEX': {
      const index = schema.indexKey(relation);
      return missing && !schema.indexes.has(index) ? [] : [{ kind: 'renameIndex', index, to }];
    }
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      return [{ kind: 'renameType', type: schema.typeKey(qualified(nameParts(node.object))), to }];
    case 'OBJECT_SCHEMA':
      return [{ kind: 'renameSchema', schema: node.subname ?? '', to }];
    default:
      return [{ kind: 'other', statement: 'RenameStmt' }];
  }
}

export function readMove(node: AlterObjectSchemaStmt, schema: Schema): Change[] {
  if (node.relation === undefined || node.objectType === 'OBJECT_INDEX')
    return [{ kind: 'other', statement: 'AlterObjectSchemaStmt' }];
  return [
    {
      kind: 'moveTable',
      table: schema.tableKey(relationName(node.relation)),
      toSchema: node.newschema ?? '',
    },
  ];
}

export const readCreateEnum = (node: CreateEnumStmt, schema: Schema): Change[] => [
  newType(schema, strings(node.typeName), 'enum', { labels: strings(node.vals) }),
];

export const readCreateDomain = (node: CreateDomainStmt, schema: Schema): Change[] => [
  newType(schema, strings(node.domainname), 'domain', {
    base: readType(node.typeName, schema),
    constrained: (node.constraints ?? []).some(
      (item) =>
        'Constraint' in item && ['CONSTR_CHECK', 'CONSTR_NOTNULL'].includes(item.Constraint.contype ?? ''),
    ),
  }),
];

export function readCreateComposite(node: CompositeTypeStmt, schema: Schema): Change[] {
  const { schema: inSchema, name } = relationName(node.typevar);
  return [newType(schema, inSchema === null ? [name] : [inSchema, name], 'composite', {})];
}

export const readCreateRange = (node: CreateRangeStmt, schema: Schema): Change[] => [
  newType(schema, strings(node.typeName), 'range', {}),
];

function newType(
  schema: Schema,
  parts: readonly string[],
  typeKind: 'enum' | 'domain' | 'composite' | 'range',
  more: Partial<Extract<Change, { kind: 'createType' }>>,
): Change {
  const name = qualified(parts);
  return {
    kind: 'createType',
    type: schema.newKey(name),
    name: name.name,
    typeKind,
    labels: [],
    base: null,
    constrained: false,
    ...more,
  };
}

export function readAlterEnum(node: AlterEnumStmt, schema: Schema): Change[] {
  const type = schema.typeKey(qualified(strings(node.typeName)));
  const label = node.newVal ?? '';
  if (node.oldVal !== undefined) return [{ kind: 'renameEnumValue', type, label: node.oldVal, to: label }];
  return [
    {
      kind: 'addEnumValue',
      type,
      label,
      ifNotExists: node.skipIfNewValExists === true,
      placed: node.newValNeighbor !== undefined,
    },
  ];
}

export function readAlterDomain(node: AlterDomainStmt, schema: Schema): Change[] {
  const type = schema.typeKey(qualified(strings(node.typeName)));
  // Source: AlterDomainStmt in parsenodes.h.
  const part = String(node.subtype).replace('AD_', '');
  if (part === 'AddConstraint' || part === 'C') {
    const constraint = node.def !== undefined && 'Constraint' in node.def ? node.def.Constraint : {};
    return [
      {
        kind: 'constrainDomain',
        type,
        what: constraint.contype === 'CONSTR_NOTNULL' ? 'notNull' : 'check',
        notValid: constraint.skip_validation === true,
      },
    ];
  }
  if (part === 'SetNotNull' || part === 'O')
    return [{ kind: 'constrainDomain', type, what: 'notNull', notValid: false }];
  if (part === 'ValidateConstraint' || part === 'V')
    return [{ kind: 'validateDomain', type, name: node.name ?? '' }];
  return [{ kind: 'other', statement: 'AlterDomainStmt' }];
}

export function readCreateView(node: ViewStmt, schema: Schema): Change[] {
  const view = schema.newKey(relationName(node.view), node.view?.relpersistence === 't');
  return [
    {
      kind: 'createView',
      view,
      ...splitKey(view),
      replace: node.replace === true,
      temporary: node.view?.relpersistence === 't',
    },
  ];
}

export function readCreateFunction(node: CreateFunctionStmt, schema: Schema): Change[] {
  const name = qualified(strings(node.funcname));
  const option = (wanted: string): Node | undefined =>
    (node.options ?? []).flatMap((item) =>
      'DefElem' in item && item.DefElem.defname === wanted && item.DefElem.arg !== undefined
        ? [item.DefElem.arg]
        : [],
    )[0];
  const text = (node: Node | undefined): string => nameParts(node).join('') || (constantOf(node) ?? '');
  const volatility = text(option('volatility'));
  return [
    {
      kind: 'createFunction',
      function: schema.newKey(name),
      name: name.name,
      volatility: volatility === 'immutable' || volatility === 'stable' ? volatility : 'volatile',
      language: text(option('language')).toLowerCase() || 'sql',
      body: text(option('as')),
      definition: '',
      replace: node.replace === true,
    },
  ];
}

export const readCreateTrigger = (node: CreateTrigStmt, schema: Schema): Change[] => [
  { kind: 'createTrigger', table: schema.tableKey(relationName(node.relation)), name: node.trigname ?? '' },
];

const reindexed: Readonly<Record<string, 'index' | 'table' | 'schema' | 'database'>> = {
  REINDEX_OBJECT_INDEX: 'index',
  REINDEX_OBJECT_TABLE: 'table',
  REINDEX_OBJECT_SCHEMA: 'schema',
  REINDEX_OBJECT_SYSTEM: 'database',
  REINDEX_OBJECT_DATABASE: 'database',
};

export function readReindex(node: ReindexStmt, schema: Schema): Change[] {
  const what = reindexed[node.kind ?? ''] ?? 'table';
  const name = relationName(node.relation);
  const target =
    what === 'index' ? schema.indexKey(name) : what === 'table' ? schema.tableKey(name) : (node.name ?? '');
  return [{ kind: 'reindex', what, target, concurrently: hasOption(node.params, 'concurrently') }];
}

export function readVacuum(node: VacuumStmt, schema: Schema): Change[] {
  const tables = (node.rels ?? []).flatMap((item) =>
    'VacuumRelation' in item ? [schema.tableKey(relationName(item.VacuumRelation.relation))] : [],
  );
  const full = node.is_vacuumcmd === true && hasOption(node.options, 'full');
  return full && tables.length > 0
    ? tables.map((table) => ({ kind: 'rewriteTable', table, by: 'VACUUM FULL' }))
    : [{ kind: 'vacuum', full, tables }];
}

const hasOption = (options: readonly Node[] | undefined, name: string): boolean =>
  (options ?? []).some((item) => {
    if (!('DefElem' in item) || item.DefElem.defname !== name) return false;
    const value = nameParts(item.DefElem.arg)[0]?.toLowerCase();
    return value === undefined || !['false', 'off', '0'].includes(value);
  });
