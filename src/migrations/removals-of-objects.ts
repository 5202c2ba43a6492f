/** What DROP and ALTER take away. */
import type { Statement } from '../sql/split.ts';
import {
  type AlterSeqStmt,
  type AlterTableCmd,
  type AlterTableStmt,
  type DropStmt,
  type Node,
  nameParts,
  qualified,
  relationName,
} from '../sql/tree.ts';
import type { Removal, WrittenName } from '../vault/removals.ts';
import type { Newness } from './newness.ts';
import { keepsEveryValue } from './widening.ts';

/** Their own content comes from elsewhere, or they have none; what depends on them has no data either. */
const withoutData = new Set(['OBJECT_INDEX', 'OBJECT_TRIGGER', 'OBJECT_POLICY', 'OBJECT_RULE']);
/** They go with what they hold, whether it says CASCADE or not. */
const holders = new Set(['OBJECT_EXTENSION', 'OBJECT_SEQUENCE']);

export function removedByDrop({ node, text }: Statement, news: Newness): readonly Removal[] {
  const { removeType = '', objects = [], behavior } = node as DropStmt;
  const kind = String(removeType);
  const cascade = behavior === 'DROP_CASCADE';
  if (kind === 'OBJECT_TABLE') {
    const tables = objects.map((object) => qualified(nameParts(object)));
    return tables.every((table) => news.isNewTable(table) || news.isMissing(table))
      ? []
      : [{ kind: 'dropTables', sql: text, tables }];
  }
  if (kind === 'OBJECT_SCHEMA' && objects.every((object) => news.isNewSchema(nameParts(object).join(''))))
    return [];
  // Without CASCADE PostgreSQL refuses to drop what a column, or any table, depends on.
  return holders.has(kind) || (cascade && !withoutData.has(kind)) ? [{ kind: 'drop', sql: text }] : [];
}

export function removedByAlter({ node, text }: Statement, news: Newness): readonly Removal[] {
  const { relation, cmds = [], objtype } = node as AlterTableStmt;
  const name = relationName(relation);
  const parts = cmds.flatMap((item) => ('AlterTableCmd' in item ? [item.AlterTableCmd] : []));
  if (objtype === 'OBJECT_TYPE')
    return parts.some(({ subtype }) => subtype === 'AT_DropColumn' || subtype === 'AT_AlterColumnType')
      ? [{ kind: 'attributes', type: name }]
      : [];
  if (objtype !== 'OBJECT_TABLE' || news.isNewTable(name)) return [];
  const old = parts.filter(({ name: column = '' }) => !news.isNewColumn(name, column));
  const of = (subtype: string): AlterTableCmd[] => old.filter((part) => part.subtype === subtype);
  const dropped = of('AT_DropColumn');
  // What goes with a column, or with its sequence, shows when it is tried.
  if (of('AT_DropIdentity').length > 0 || dropped.some(({ behavior }) => behavior === 'DROP_CASCADE'))
    return [{ kind: 'drop', sql: text }, ...narrowed(of('AT_AlterColumnType'), name, news)];
  const columns = dropped.map(({ name: column = '' }) => column);
  return [
    ...(columns.length === 0 ? [] : [{ kind: 'dropColumns' as const, table: name, columns }]),
    ...narrowed(of('AT_AlterColumnType'), name, news),
    ...of('AT_SetIdentity')
      .filter(({ def }) => restarts(def !== undefined && 'List' in def ? def.List.items : []))
      .map(({ name: column = '' }) => ({ kind: 'sequence' as const, sequence: name, column })),
  ];
}

function narrowed(parts: readonly AlterTableCmd[], table: WrittenName, { schema }: Newness): Removal[] {
  const known = schema.table(table)?.columns;
  const columns = parts.flatMap(({ name = '', def }) =>
    def !== undefined && 'ColumnDef' in def && keepsEveryValue(known?.get(name), name, def.ColumnDef, schema)
      ? []
      : [name],
  );
  return columns.length === 0 ? [] : [{ kind: 'values', table, columns }];
}

export function restartedSequence({ node }: Statement): readonly Removal[] {
  const { sequence, options = [] } = node as AlterSeqStmt;
  return restarts(options) ? [{ kind: 'sequence', sequence: relationName(sequence) }] : [];
}

const restarts = (options: readonly Node[] = []): boolean =>
  options.some((option) => 'DefElem' in option && option.DefElem.defname === 'restart');
