import type { RelationName } from './relations.ts';
import type { Statement } from './split.ts';
import { type RangeVar, relationName, type UpdateStmt, visitNodes } from './tree.ts';

/**
 * What rows a statement may write, by itself or by the code that it runs.
 * - `never`: none, whatever there is in the database
 * - `rows`: any
 * - `anew`: any; and it may write whole tables anew, as ALTER TABLE does, in which their rows stay what they are
 */
export type Writes = 'never' | 'rows' | 'anew';

/** These run no code of the database's users but that of event triggers. */
const never: ReadonlySet<string> = new Set([
  'AlterDefaultPrivilegesStmt',
  'AlterEnumStmt',
  'AlterExtensionContentsStmt',
  'AlterFunctionStmt',
  'AlterObjectDependsStmt',
  'AlterObjectSchemaStmt',
  'AlterOwnerStmt',
  'AlterPolicyStmt',
  'AlterPublicationStmt',
  'AlterSeqStmt',
  'AlterStatsStmt',
  'AlterTypeStmt',
  'CommentStmt',
  'CompositeTypeStmt',
  'CreateCastStmt',
  'CreateDomainStmt',
  'CreateEnumStmt',
  'CreateEventTrigStmt',
  'CreateFdwStmt',
  'CreateForeignServerStmt',
  'CreateForeignTableStmt',
  'CreateFunctionStmt',
  'CreatePLangStmt',
  'CreatePolicyStmt',
  'CreatePublicationStmt',
  'CreateRangeStmt',
  'CreateRoleStmt',
  'CreateSchemaStmt',
  'CreateSeqStmt',
  'CreateStatsStmt',
  'CreateStmt',
  'CreateTrigStmt',
  'DeallocateStmt',
  'DefineStmt',
  'DiscardStmt',
  'DropOwnedStmt',
  'DropStmt',
  'GrantRoleStmt',
  'GrantStmt',
  'ListenStmt',
  'LockStmt',
  'NotifyStmt',
  'PrepareStmt',
  'RenameStmt',
  'Restore',
  'RuleStmt',
  'SecLabelStmt',
  'TransactionStmt',
  'VacuumStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'ViewStmt',
]);
/** They run code only where an expression in them calls it. */
const asWritten: ReadonlySet<string> = new Set(['AlterTableStmt', 'AlterDomainStmt', 'IndexStmt']);
const anew: ReadonlySet<string> = new Set([...asWritten, 'ClusterStmt', 'RefreshMatViewStmt', 'ReindexStmt']);

export function writesOf({ kind, node }: Statement): Writes {
  if (never.has(kind) || (asWritten.has(kind) && !callsCode(node))) return 'never';
  return anew.has(kind) ? 'anew' : 'rows';
}

/** The table that a statement may write anew by itself, together with its child tables; null for none. */
export const rewrittenBy = ({ kind, node }: Statement): RelationName | null =>
  (kind === 'AlterTableStmt' || kind === 'ClusterStmt') && node.relation !== undefined
    ? relationName(node.relation as RangeVar)
    : null;

/** Whether it is an `INSERT … VALUES` that leaves rows that are there alone. */
export function addsRows({ kind, node }: Statement): boolean {
  if (kind !== 'InsertStmt' || node.withClause !== undefined) return false;
  const { onConflictClause, selectStmt } = node as InsertParts;
  return (
    onConflictClause?.action !== 'ONCONFLICT_UPDATE' && selectStmt?.SelectStmt?.valuesLists !== undefined
  );
}

/** The columns that an UPDATE sets, or an INSERT of values where rows are there already; none for anything else. */
export function columnsSet({ kind, node }: Statement): readonly string[] {
  if (node.withClause !== undefined) return [];
  const { onConflictClause, selectStmt } = node as InsertParts;
  const ofInsert = selectStmt?.SelectStmt?.valuesLists === undefined ? [] : onConflictClause?.targetList;
  const ofUpdate = kind === 'UpdateStmt' ? (node as UpdateStmt).targetList : [];
  const targetList = (kind === 'InsertStmt' ? ofInsert : ofUpdate) ?? [];
  return targetList.flatMap((target) => ('ResTarget' in target ? (target.ResTarget.name ?? []) : []));
}

interface InsertParts {
  readonly onConflictClause?: { readonly action?: string; readonly targetList?: UpdateStmt['targetList'] };
  readonly selectStmt?: { readonly SelectStmt?: { readonly valuesLists?: readonly unknown[] } };
}

function callsCode(node: Statement['node']): boolean {
  let found = false;
  visitNodes(node, (kind) => {
    if (kind === 'FuncCall') found = true;
  });
  return found;
}
