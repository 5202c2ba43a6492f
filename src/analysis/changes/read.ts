/** Turns a statement into what it changes. */
import type { Statement } from '../../sql/split.ts';
import {
  type AlterExtensionStmt,
  type CallStmt,
  type ClusterStmt,
  type CreateExtensionStmt,
  type CreateForeignTableStmt,
  type CreateSchemaStmt,
  constantOf,
  type DropdbStmt,
  type GrantStmt,
  type LockStmt,
  type Node,
  type RefreshMatViewStmt,
  relationName,
  type TransactionStmt,
  unwrap,
  type VariableSetStmt,
} from '../../sql/tree.ts';
import type { Schema } from '../schema/schema.ts';
import { readAlterTable } from './alter-table.ts';
import { type Change, lockModes } from './change.ts';
import {
  readCopy,
  readDelete,
  readInsert,
  readMerge,
  readSelect,
  reads,
  readTruncate,
  readUpdate,
} from './data.ts';
import * as objects from './objects.ts';
import * as tables from './tables.ts';

// The grammar's nodes are as many as its statements: the key of this table decides the type of what stands under it.
type Reader = (node: never, schema: Schema) => Change[];

const readers: Readonly<Record<string, Reader>> = {
  AlterTableStmt: readAlterTable,
  CreateStmt: (node, schema) => tables.readCreateTable(node, schema),
  CreateForeignTableStmt: (node: CreateForeignTableStmt, schema) =>
    tables.readCreateTable(node.base ?? {}, schema, 'foreign'),
  CreateTableAsStmt: tables.readCreateTableAs,
  IndexStmt: tables.readCreateIndex,
  DropStmt: objects.readDrop,
  RenameStmt: objects.readRename,
  AlterObjectSchemaStmt: objects.readMove,
  CreateEnumStmt: objects.readCreateEnum,
  CreateDomainStmt: objects.readCreateDomain,
  CompositeTypeStmt: objects.readCreateComposite,
  CreateRangeStmt: objects.readCreateRange,
  AlterEnumStmt: objects.readAlterEnum,
  AlterDomainStmt: objects.readAlterDomain,
  ViewStmt: objects.readCreateView,
  CreateFunctionStmt: objects.readCreateFunction,
  CreateTrigStmt: objects.readCreateTrigger,
  ReindexStmt: objects.readReindex,
  VacuumStmt: objects.readVacuum,
  ClusterStmt: (node: ClusterStmt, schema) => [
    { kind: 'rewriteTable', table: schema.tableKey(relationName(node.relation)), by: 'CLUSTER' },
  ],
  RefreshMatViewStmt: (node: RefreshMatViewStmt, schema) => [
    {
      kind: 'refreshView',
      table: schema.tableKey(relationName(node.relation)),
      concurrently: node.concurrent === true,
    },
  ],
  InsertStmt: readInsert,
  UpdateStmt: readUpdate,
  DeleteStmt: readDelete,
  MergeStmt: readMerge,
  SelectStmt: readSelect,
  // A procedure is followed as a function is.
  CallStmt: ({ funccall }: CallStmt, schema) => [
    {
      kind: 'select',
      functions: reads(funccall === undefined ? [] : { FuncCall: funccall }, schema).functions,
      fromTables: [],
    },
  ],
  TruncateStmt: readTruncate,
  CopyStmt: readCopy,
  LockStmt: (node: LockStmt, schema) =>
    (node.relations ?? []).flatMap((item) =>
      'RangeVar' in item
        ? [
            {
              kind: 'lockTable' as const,
              table: schema.tableKey(relationName(item.RangeVar)),
              // Modes are numbered from 1 in the order of their strength.
              mode: lockModes[(node.mode ?? 8) - 1] ?? 'ACCESS EXCLUSIVE',
            },
          ]
        : [],
    ),
  CreateSchemaStmt: readCreateSchema,
  DropdbStmt: (node: DropdbStmt) => [{ kind: 'dropDatabase', database: node.dbname ?? '' }],
  CreateExtensionStmt: (node: CreateExtensionStmt) => [
    { kind: 'extension', name: node.extname ?? '', action: 'create', cascade: false },
  ],
  AlterExtensionStmt: (node: AlterExtensionStmt) => [
    { kind: 'extension', name: node.extname ?? '', action: 'update', cascade: false },
  ],
  GrantStmt: (node: GrantStmt) => [{ kind: 'privileges', revoke: node.is_grant !== true }],
  TransactionStmt: (node: TransactionStmt) => [
    { kind: 'transaction', action: transactionActions[node.kind ?? ''] ?? 'other' },
  ],
  VariableSetStmt: readSetting,
};

const transactionActions: Readonly<Record<string, 'begin' | 'commit' | 'rollback'>> = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
};

/** The changes of one statement, in the order in which PostgreSQL makes them. */
export function readChanges(statement: Statement, schema: Schema): Change[] {
  const changes = readNode(statement.kind, statement.node, schema);
  if (statement.kind !== 'CreateFunctionStmt') return changes;
  return changes.map((change) =>
    change.kind === 'createFunction' ? { ...change, definition: statement.text } : change,
  );
}

export function readNode(kind: string, node: unknown, schema: Schema): Change[] {
  const read = readers[kind];
  return read === undefined ? [{ kind: 'other', statement: kind }] : read(node as never, schema);
}

function readCreateSchema(node: CreateSchemaStmt, schema: Schema): Change[] {
  const name = node.schemaname ?? node.authrole?.rolename ?? '';
  // What is made in the same statement is made there.
  const { searchPath } = schema;
  const known = schema.schemas.has(name);
  schema.searchPath = [name, ...searchPath];
  schema.schemas.add(name);
  const within = (node.schemaElts ?? []).flatMap((element: Node) => {
    const [kind, value] = unwrap(element);
    return readNode(kind, value, schema);
  });
  schema.searchPath = searchPath;
  if (!known) schema.schemas.delete(name);
  return [{ kind: 'createSchema', schema: name }, ...within];
}

function readSetting(node: VariableSetStmt): Change[] {
  const values = (node.args ?? []).map((item) => constantOf(item) ?? '');
  const set = node.kind === 'VAR_SET_VALUE';
  return [
    {
      kind: 'setting',
      name: node.name?.toLowerCase() ?? 'all',
      value: set ? values.join(', ') : null,
      local: node.is_local === true,
    },
  ];
}
