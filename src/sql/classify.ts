import type { Node } from './parse.ts';
import type { Statement } from './split.ts';

/**
 * How a statement has to be run.
 * - `transactional`: inside a transaction with its neighbours
 * - `alone`: PostgreSQL refuses it inside a transaction block (25001)
 * - `begin`, `commit`, `rollback`: the file's own transaction control
 */
export type RunsAs = 'transactional' | 'alone' | 'begin' | 'commit' | 'rollback';

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const nodeOf = (value: unknown): Node => (value !== null && typeof value === 'object' ? (value as Node) : {});
const textsIn = (value: unknown): string[] =>
  list(value).flatMap((item) => {
    const text = nodeOf(nodeOf(item).String).sval;
    return typeof text === 'string' ? [text] : [];
  });

/** Statements that always refuse a transaction block; see PreventInTransactionBlock in PostgreSQL's sources. */
const alwaysAlone = new Set([
  'CreatedbStmt',
  'DropdbStmt',
  'CreateTableSpaceStmt',
  'DropTableSpaceStmt',
  'AlterSystemStmt',
  'DropSubscriptionStmt',
]);

const aloneIf: Readonly<Record<string, (node: Node) => boolean>> = {
  IndexStmt: (node) => node.concurrent === true,
  DropStmt: (node) => node.concurrent === true,
  VacuumStmt: (node) => node.is_vacuumcmd === true,
  ClusterStmt: (node) => node.relation === undefined,
  ReindexStmt: (node) =>
    ['REINDEX_OBJECT_SCHEMA', 'REINDEX_OBJECT_SYSTEM', 'REINDEX_OBJECT_DATABASE'].includes(
      String(node.kind),
    ) || hasOption(node.params, 'concurrently'),
  AlterTableStmt: (node) =>
    list(node.cmds).some((command) => {
      const { subtype, def } = nodeOf(nodeOf(command).AlterTableCmd);
      return subtype === 'AT_DetachPartition' && nodeOf(nodeOf(def).PartitionCmd).concurrent === true;
    }),
  CreateSubscriptionStmt: (node) =>
    optionOf(node.options, 'connect') !== false && optionOf(node.options, 'create_slot') !== false,
  AlterSubscriptionStmt: (node) =>
    !['OPTIONS', 'CONNECTION', 'ENABLED'].some((kind) => node.kind === `ALTER_SUBSCRIPTION_${kind}`),
  AlterDatabaseStmt: (node) => hasOption(node.options, 'tablespace'),
};

const transactionControl: Readonly<Record<string, RunsAs>> = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
};

/** `COMMIT AND CHAIN`: another transaction like the one that ends begins at once. */
export const chains = ({ node }: Statement): boolean => node.chain === true;

export function runsAs({ kind, node }: Statement): RunsAs {
  if (kind === 'TransactionStmt') return transactionControl[String(node.kind)] ?? 'transactional';
  return alwaysAlone.has(kind) || aloneIf[kind]?.(node) === true ? 'alone' : 'transactional';
}

/** Value of a boolean option; one without a value is on, one that is not given is null. */
function optionOf(options: unknown, name: string): boolean | null {
  const option = list(options)
    .map((item) => nodeOf(nodeOf(item).DefElem))
    .findLast((item) => item.defname === name);
  if (option === undefined) return null;
  const text = nodeOf(nodeOf(option.arg).String).sval;
  if (typeof text === 'string') return !['false', 'off', 'f', '0'].includes(text.toLowerCase());
  const number = nodeOf(option.arg).Integer;
  return number === undefined || nodeOf(number).ival === 1;
}

const hasOption = (options: unknown, name: string): boolean => optionOf(options, name) === true;

/**
 * Statements that hold no lock which blocks reads or writes while they wait for locks or snapshots; a short
 * lock_timeout would only make them fail (and leave an invalid index behind).
 */
export function blocksNobody(statement: Statement): boolean {
  const { kind, node } = statement;
  if (kind === 'AlterTableStmt') {
    const commands = list(node.cmds).map((command) => nodeOf(nodeOf(command).AlterTableCmd).subtype);
    if (commands.length > 0 && commands.every((subtype) => subtype === 'AT_ValidateConstraint')) return true;
  }
  if (kind === 'VacuumStmt') return !hasOption(node.options, 'full');
  return waitsForSnapshots(statement);
}

/** CONCURRENTLY: waits until every transaction that is older has ended. */
export function waitsForSnapshots({ kind, node }: Statement): boolean {
  if (kind === 'IndexStmt' || kind === 'DropStmt') return node.concurrent === true;
  if (kind === 'ReindexStmt') return hasOption(node.params, 'concurrently');
  return kind === 'AlterTableStmt' && aloneIf.AlterTableStmt?.(node) === true;
}

/** What these make is new, so that nobody waits for it; or they read or write rows as the application does. */
const unnoticed = new Set([
  'SelectStmt',
  'InsertStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'ExplainStmt',
  'TransactionStmt',
  'CreateEnumStmt',
  'AlterEnumStmt',
  'CompositeTypeStmt',
  'CreateDomainStmt',
  'CreateSeqStmt',
  'CreateFunctionStmt',
  'CreateTableAsStmt',
  'CreateStmt',
  'CommentStmt',
]);

/** Takes no lock on anything that exists which could make the application's queries wait. */
export function takesNoBlockingLock({ kind, node }: Statement): boolean {
  // A function may do anything, and so may a WITH that writes.
  if (kind === 'SelectStmt') return list(node.lockingClause).length === 0 && !contains(node, mayWrite);
  if (kind === 'CreateSchemaStmt') return list(node.schemaElts).length === 0;
  // A new table locks its parent, and the tables that its foreign keys name.
  if (kind === 'CreateStmt') return node.inhRelations === undefined && !contains(node, isForeignKey);
  if (kind === 'CommentStmt') return node.objtype === 'OBJECT_TYPE' || node.objtype === 'OBJECT_FUNCTION';
  return unnoticed.has(kind);
}

const mayWrite = (key: string): boolean =>
  ['FuncCall', 'DeleteStmt', 'UpdateStmt', 'MergeStmt'].includes(key);

const isForeignKey = (key: string, value: Node): boolean =>
  key === 'Constraint' && value.contype === 'CONSTR_FOREIGN';

/** Whether the tree holds a node for which the test is true. */
function contains(tree: unknown, test: (key: string, value: Node) => boolean): boolean {
  if (Array.isArray(tree)) return tree.some((item) => contains(item, test));
  return Object.entries(nodeOf(tree)).some(
    ([key, value]) => test(key, nodeOf(value)) || contains(value, test),
  );
}

/** `SET` for the session (not `SET LOCAL`): holds beyond its transaction, to the end of the file. */
export const setsSession = ({ kind, node, text }: Statement): boolean =>
  (kind === 'VariableSetStmt' &&
    node.is_local !== true &&
    !(node.kind === 'VAR_SET_MULTI' && node.name === 'TRANSACTION')) ||
  (kind === 'SelectStmt' && /\bset_config\s*\(/i.test(text));

/** `SET lock_timeout` in one of its forms: then the file's own value holds. */
export const setsLockTimeout = ({ kind, node, text }: Statement): boolean =>
  (kind === 'VariableSetStmt' && node.name === 'lock_timeout') ||
  (kind === 'SelectStmt' && /\bset_config\s*\(\s*'lock_timeout'/i.test(text));

/** Whether names may stand for other relations after the statement. */
export const changesNames = (statement: Statement): boolean =>
  ['DropStmt', 'RenameStmt', 'AlterObjectSchemaStmt', 'DoStmt', 'CallStmt'].includes(statement.kind) ||
  setsSession(statement);

/**
 * Whether the statement, run alone, may commit parts of its work by itself: a failure then says nothing about what is
 * left, and trying again would do those parts twice.
 */
export const commitsItself = (statement: Statement): boolean =>
  statement.kind === 'DoStmt' ||
  statement.kind === 'CallStmt' ||
  (statement.kind === 'AlterTableStmt' && waitsForSnapshots(statement));

/** They run no code of anybody's and set nothing, so that the session is afterwards as it was before. */
const leavingSession = new Set([
  'CreateStmt',
  'AlterTableStmt',
  'IndexStmt',
  'CreateEnumStmt',
  'AlterEnumStmt',
  'CreateSchemaStmt',
  'CreateSeqStmt',
  'CreateFunctionStmt',
  'RenameStmt',
  'DropStmt',
  'CommentStmt',
  'TransactionStmt',
]);

/** Whether settings, the role or temporary objects may be others after the statement. */
export const mayChangeSession = (statement: Statement): boolean =>
  !leavingSession.has(statement.kind) || makesTemporary(statement);

/** Would let go of the locks by which one deployment excludes another; in a function's body as far as its text shows. */
export function dropsSessionLocks({ kind, node, text }: Statement): boolean {
  if (kind === 'DiscardStmt') return node.target === 'DISCARD_ALL';
  if (kind === 'DoStmt' || kind === 'CreateFunctionStmt')
    return /\bpg_advisory_unlock_all\b|\bdiscard\s+all\b|\bpg_advisory_unlock\s*\(\s*72707369\b/i.test(
      text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' '),
    );
  return contains(node, (key, value) => key === 'FuncCall' && unlocks(value));
}

function unlocks({ funcname, args }: Node): boolean {
  const name = textsIn(funcname).at(-1);
  if (name === 'pg_advisory_unlock_all') return true;
  const key = nodeOf(nodeOf(nodeOf(list(args)[0]).A_Const).ival).ival;
  return name === 'pg_advisory_unlock' && key === 72_707_369;
}

/** Makes a temporary table, which is gone when the session is. */
export function makesTemporary({ kind, node }: Statement): boolean {
  const into = kind === 'SelectStmt' ? node.intoClause : node.into;
  const relation = nodeOf(nodeOf(into).rel ?? node.relation ?? node.sequence ?? node.view);
  const creates = /^(Create|View|Select)/.test(kind);
  return creates && (relation.relpersistence === 't' || relation.schemaname === 'pg_temp');
}

/** The label that `ALTER TYPE … ADD VALUE` adds: it cannot be used before its transaction has committed (55P04). */
export const addsEnumValue = ({ kind, node }: Statement): string | null =>
  kind === 'AlterEnumStmt' && typeof node.newVal === 'string' && node.oldVal === undefined
    ? node.newVal
    : null;

/** Whether the text holds the string constant; a false find costs only a commit more. */
export const mentions = (statement: Statement, constant: string): boolean =>
  statement.text.includes(`'${constant.replaceAll("'", "''")}'`);

/** The index that a statement builds CONCURRENTLY, as it is named; null where PostgreSQL chooses the name. */
export function concurrentIndex({
  kind,
  node,
}: Statement): { index: string | null; schema: string | null; table: string } | null {
  if (kind !== 'IndexStmt' || node.concurrent !== true) return null;
  const relation = nodeOf(node.relation);
  return {
    index: typeof node.idxname === 'string' ? node.idxname : null,
    schema: typeof relation.schemaname === 'string' ? relation.schemaname : null,
    table: String(relation.relname),
  };
}

/** The index that `DROP INDEX CONCURRENTLY` drops, as (schema, name). */
export function concurrentlyDropped({
  kind,
  node,
}: Statement): { schema: string | null; name: string } | null {
  if (kind !== 'DropStmt' || node.concurrent !== true) return null;
  const names = textsIn(nodeOf(nodeOf(list(node.objects)[0]).List).items);
  const name = names.at(-1);
  return name === undefined ? null : { schema: names.at(-2) ?? null, name };
}

/** One line of the statement, for a plan or a log. At most 100 characters. */
export function summarise(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= 100 ? line : `${line.slice(0, 99)}…`;
}
