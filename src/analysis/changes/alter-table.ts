import { type AlterTableCmd, type AlterTableStmt, type ColumnDef, relationName } from '../../sql/tree.ts';
import type { Schema } from '../schema/schema.ts';
import type { Change } from './change.ts';
import { collationOf, readColumn, readConstraint, readType } from './columns.ts';

/**
 * The order in which PostgreSQL does the parts of one ALTER TABLE, whatever their order in the text: what drops comes
 * first, new columns before new constraints. Source: AlterTablePass in tablecmds.c.
 */
const passes: Readonly<Record<string, number>> = {
  AT_DropColumn: 0,
  AT_DropConstraint: 0,
  AT_DropNotNull: 0,
  AT_DropExpression: 0,
  AT_DropIdentity: 0,
  AT_AlterColumnType: 1,
  AT_AddColumn: 2,
  AT_SetExpression: 3,
  AT_AddConstraint: 4,
  AT_ColumnDefault: 5,
  AT_AddIdentity: 5,
  AT_SetNotNull: 5,
};
const lastPass = 6;

export function readAlterTable(node: AlterTableStmt, schema: Schema): Change[] {
  const name = relationName(node.relation);
  if (node.objtype === 'OBJECT_INDEX' || node.objtype === 'OBJECT_TYPE')
    return [{ kind: 'other', statement: 'AlterTableStmt' }];
  const table = schema.tableKey(name);
  // IF EXISTS on what does not exist does nothing.
  if (node.missing_ok === true && schema.complete && !schema.tables.has(table)) return [];
  const parts = (node.cmds ?? []).flatMap((item) => ('AlterTableCmd' in item ? [item.AlterTableCmd] : []));
  return parts
    .map((part) => ({ part, pass: passes[part.subtype ?? ''] ?? lastPass }))
    .sort((a, b) => a.pass - b.pass)
    .flatMap(({ part }) => readPart(part, table, schema));
}

type Reader = (part: AlterTableCmd, table: string, schema: Schema) => Change | Change[];

const column = (part: AlterTableCmd): string => part.name ?? '';
const definition = (part: AlterTableCmd): ColumnDef =>
  part.def !== undefined && 'ColumnDef' in part.def ? part.def.ColumnDef : {};

const copies =
  (by: string): Reader =>
  (_part, table) => ({ kind: 'rewriteTable', table, by });
const rowSecurity =
  (to: 'enabled' | 'disabled' | 'forced' | 'notForced'): Reader =>
  (_part, table) => ({ kind: 'setRowSecurity', table, to });
const trigger =
  (enabled: boolean): Reader =>
  (_part, table) => ({ kind: 'switchTrigger', table, enabled });

const readers: Readonly<Record<string, Reader>> = {
  AT_AddColumn: (part, table, schema) => ({
    kind: 'addColumn',
    table,
    column: readColumn(definition(part), table, schema),
    ifNotExists: part.missing_ok === true,
  }),
  AT_DropColumn: (part, table) => ({
    kind: 'dropColumn',
    table,
    column: column(part),
    cascade: part.behavior === 'DROP_CASCADE',
    ifExists: part.missing_ok === true,
  }),
  AT_AlterColumnType: (part, table, schema) => {
    const { typeName, raw_default: using, location } = definition(part);
    return {
      kind: 'changeType',
      table,
      column: column(part),
      type: readType(typeName, schema),
      using: using ?? null,
      collation: collationOf(definition(part)),
      at: location ?? null,
    };
  },
  AT_ColumnDefault: (part, table) =>
    part.def === undefined
      ? { kind: 'dropDefault', table, column: column(part) }
      : { kind: 'setDefault', table, column: column(part), value: part.def },
  AT_SetNotNull: (part, table) => ({ kind: 'setNotNull', table, column: column(part) }),
  AT_DropNotNull: (part, table) => ({ kind: 'dropNotNull', table, column: column(part) }),
  AT_SetExpression: (part, table) => ({
    kind: 'changeGenerated',
    table,
    column: column(part),
    to: 'expression',
  }),
  AT_DropExpression: (part, table) => ({ kind: 'changeGenerated', table, column: column(part), to: 'plain' }),
  AT_AddIdentity: (part, table) => ({ kind: 'changeGenerated', table, column: column(part), to: 'identity' }),
  AT_DropIdentity: (part, table) => ({
    kind: 'changeGenerated',
    table,
    column: column(part),
    to: 'noIdentity',
  }),
  AT_AddConstraint: (part, table, schema) =>
    part.def !== undefined && 'Constraint' in part.def
      ? readConstraint(part.def.Constraint, table, schema).map((constraint) => ({
          kind: 'addConstraint' as const,
          table,
          constraint,
        }))
      : [],
  AT_ValidateConstraint: (part, table) => ({ kind: 'validateConstraint', table, name: column(part) }),
  AT_DropConstraint: (part, table) => ({
    kind: 'dropConstraint',
    table,
    name: column(part),
    ifExists: part.missing_ok === true,
    cascade: part.behavior === 'DROP_CASCADE',
  }),
  AT_AttachPartition: (part, table, schema) => ({
    kind: 'attachPartition',
    table,
    partition: partitionOf(part, schema),
    isDefault:
      part.def !== undefined &&
      'PartitionCmd' in part.def &&
      part.def.PartitionCmd.bound?.is_default === true,
  }),
  AT_DetachPartition: (part, table, schema) => ({
    kind: 'detachPartition',
    table,
    partition: partitionOf(part, schema),
    concurrently:
      part.def !== undefined && 'PartitionCmd' in part.def && part.def.PartitionCmd.concurrent === true,
  }),
  AT_SetLogged: copies('SET LOGGED'),
  AT_SetUnLogged: copies('SET UNLOGGED'),
  AT_SetTableSpace: copies('SET TABLESPACE'),
  AT_SetAccessMethod: copies('SET ACCESS METHOD'),
  AT_EnableRowSecurity: rowSecurity('enabled'),
  AT_DisableRowSecurity: rowSecurity('disabled'),
  AT_ForceRowSecurity: rowSecurity('forced'),
  AT_NoForceRowSecurity: rowSecurity('notForced'),
  AT_EnableTrig: trigger(true),
  AT_EnableTrigAll: trigger(true),
  AT_EnableTrigUser: trigger(true),
  AT_EnableAlwaysTrig: trigger(true),
  AT_EnableReplicaTrig: trigger(true),
  AT_DisableTrig: trigger(false),
  AT_DisableTrigAll: trigger(false),
  AT_DisableTrigUser: trigger(false),
};

function readPart(part: AlterTableCmd, table: string, schema: Schema): Change[] {
  const subtype = part.subtype ?? '';
  const read = readers[subtype];
  if (read === undefined) return [{ kind: 'alterTable', table, part: subtype }];
  const changes = read(part, table, schema);
  return Array.isArray(changes) ? changes : [changes];
}

const partitionOf = (part: AlterTableCmd, schema: Schema): string =>
  part.def !== undefined && 'PartitionCmd' in part.def
    ? schema.tableKey(relationName(part.def.PartitionCmd.name))
    : '';
