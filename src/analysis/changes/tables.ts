/** Reads statements that make tables and indexes. */
import {
  type CreateStmt,
  type CreateTableAsStmt,
  type IndexElem,
  type IndexStmt,
  type Node,
  relationName,
  type TableLikeClause,
} from '../../sql/tree.ts';
import type { TableKind } from '../schema/model.ts';
import { keyOf, type Schema, splitKey } from '../schema/schema.ts';
import type { Change, LikeClause, NewConstraint } from './change.ts';
import { columnsIn, readColumn, readConstraint } from './columns.ts';
import { madeByQuery } from './data.ts';
import { distinctNames, firstFree, indexName, partName } from './names.ts';

export function readCreateTable(node: CreateStmt, schema: Schema, tableKind?: TableKind): Change[] {
  const temporary = node.relation?.relpersistence === 't' || node.relation?.schemaname === 'pg_temp';
  const table = schema.newKey(relationName(node.relation), temporary);
  const elements = node.tableElts ?? [];
  const columns = elements.flatMap((item) =>
    'ColumnDef' in item ? [readColumn(item.ColumnDef, table, schema)] : [],
  );
  const constraints = elements.flatMap((item): NewConstraint[] =>
    'Constraint' in item ? readConstraint(item.Constraint, table, schema) : [],
  );
  const parents = (node.inhRelations ?? []).flatMap((item) =>
    'RangeVar' in item ? [schema.tableKey(relationName(item.RangeVar))] : [],
  );
  return [
    {
      kind: 'createTable',
      table,
      ...splitKey(table),
      tableKind: tableKind ?? (node.partspec === undefined ? 'table' : 'partitioned'),
      temporary,
      ifNotExists: node.if_not_exists === true,
      columns,
      columnsKnown: node.ofTypename === undefined,
      constraints: [...columns.flatMap((column) => column.constraints), ...constraints],
      parents,
      isPartition: node.partbound !== undefined,
      isDefault: node.partbound?.is_default === true,
      partitionColumns: (node.partspec?.partParams ?? []).flatMap((item) =>
        'PartitionElem' in item && item.PartitionElem.name !== undefined ? [item.PartitionElem.name] : [],
      ),
      like: elements.flatMap((item) =>
        'TableLikeClause' in item ? [readLike(item.TableLikeClause, schema)] : [],
      ),
    },
  ];
}

/** Source: TableLikeOption in parsenodes.h. */
function readLike({ relation, options = 0 }: TableLikeClause, schema: Schema): LikeClause {
  const including = (bit: number): boolean => (options & bit) !== 0;
  return {
    table: schema.tableKey(relationName(relation)),
    constraints: including(4),
    defaults: including(8),
    generated: including(16),
    identity: including(32),
    indexes: including(64),
  };
}

export function readCreateTableAs(node: CreateTableAsStmt, schema: Schema): Change[] {
  const relation = node.into?.rel;
  return [
    madeByQuery(
      schema.newKey(relationName(relation), relation?.relpersistence === 't'),
      relation?.relpersistence === 't',
      node.if_not_exists === true,
      node.objtype === 'OBJECT_MATVIEW' ? 'materialized' : 'table',
    ),
  ];
}

export function readCreateIndex(node: IndexStmt, schema: Schema): Change[] {
  const table = schema.tableKey(relationName(node.relation));
  const parts = (nodes: readonly Node[] | undefined): IndexElem[] =>
    (nodes ?? []).flatMap((item) => ('IndexElem' in item ? [item.IndexElem] : []));
  const columns = parts(node.indexParams).map((part) => part.name ?? null);
  const at = splitKey(table);
  const named = [...parts(node.indexParams), ...parts(node.indexIncludingParams)].map(partName);
  const name =
    node.idxname ??
    firstFree(indexName(table, distinctNames(named)), (wanted) =>
      schema.hasRelation(keyOf(at.schema, wanted)),
    );
  return [
    {
      kind: 'createIndex',
      table,
      // An index is always in the schema of its table.
      index: keyOf(at.schema, name),
      name,
      named: node.idxname !== undefined,
      columns,
      expressionColumns: columnsIn([
        ...parts(node.indexParams).flatMap((part) => part.expr ?? []),
        ...(node.whereClause === undefined ? [] : [node.whereClause]),
      ]),
      unique: node.unique === true,
      partial: node.whereClause !== undefined,
      concurrently: node.concurrent === true,
      ifNotExists: node.if_not_exists === true,
      only: node.relation?.inh !== true,
      method: node.accessMethod ?? 'btree',
    },
  ];
}
