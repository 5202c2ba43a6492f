import type { Statement } from './split.ts';
import { visitNodes } from './tree.ts';

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

function callsCode(node: Statement['node']): boolean {
  let found = false;
  visitNodes(node, (kind) => {
    if (kind === 'FuncCall') found = true;
  });
  return found;
}
