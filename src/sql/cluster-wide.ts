/** Statements whose effect is not within one database: tried anywhere on a server, they change all of it. */
import { type Statement, splitStatements } from './split.ts';

const kinds: ReadonlySet<string> = new Set([
  'CreateRoleStmt',
  'AlterRoleStmt',
  'AlterRoleSetStmt',
  'DropRoleStmt',
  'GrantRoleStmt',
  'CreatedbStmt',
  'AlterDatabaseStmt',
  'AlterDatabaseSetStmt',
  'AlterDatabaseRefreshCollStmt',
  'DropdbStmt',
  'CreateTableSpaceStmt',
  'AlterTableSpaceOptionsStmt',
  'DropTableSpaceStmt',
  'AlterSystemStmt',
  'CreateSubscriptionStmt',
  'AlterSubscriptionStmt',
  'DropSubscriptionStmt',
  'CreateUserMappingStmt',
  'AlterUserMappingStmt',
  'DropUserMappingStmt',
  'CreateForeignServerStmt',
  'AlterForeignServerStmt',
  'ReassignOwnedStmt',
  // It takes rights on databases and tablespaces away as well.
  'DropOwnedStmt',
]);

/** Of `COMMENT ON`, `GRANT … ON`, `SECURITY LABEL ON`, `ALTER … RENAME`, `ALTER … OWNER TO`. */
const sharedObjects: ReadonlySet<unknown> = new Set([
  'OBJECT_ROLE',
  'OBJECT_DATABASE',
  'OBJECT_TABLESPACE',
  'OBJECT_SUBSCRIPTION',
  'OBJECT_PARAMETER_ACL',
]);

/** In code it is looked for in the text: what it runs in the end only its execution shows. */
const inCode =
  /\b(create|alter|drop)\s+(role|user|group|database|tablespace|subscription|system|server)\b|\bgrant\s+[^;]*?\bto\b[^;]*\badmin\b|\b(grant|revoke)\b[^;]*\bon\s+(database|tablespace|parameter)\b|\b(to|from)\s+program\b/i;
const code: ReadonlySet<string> = new Set(['DoStmt', 'CreateFunctionStmt', 'SelectStmt', 'CallStmt']);

/** Functions that reach other servers, other sessions, the server's files or its settings. */
const calls =
  /\b(dblink\w*|http|pg_background_\w+|http_(get|post|put|patch|delete|head)|pg_reload_conf|pg_rotate_logfile|pg_(terminate|cancel)_backend|pg_(create|drop|copy)_((physical|logical)_)?replication_slot|pg_replication_(slot_advance|origin_\w+)|pg_switch_wal|pg_promote|pg_file_\w+|lo_export|aws_\w+\.\w+)\s*\(/i;
const callers: ReadonlySet<string> = new Set([
  ...code,
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'CreateTableAsStmt',
  'ExplainStmt',
]);

/** Whether it reaches beyond the database in which it runs: roles, databases, tablespaces, other servers, files. */
export const reachesBeyond = ({ kind, text, node }: Statement): boolean =>
  kinds.has(kind) ||
  [node.objtype, node.objectType, node.renameType].some((type) => sharedObjects.has(type)) ||
  (code.has(kind) && inCode.test(text)) ||
  (callers.has(kind) && calls.test(text)) ||
  (kind === 'CopyStmt' && writesFile(node));

/** The same of a function's body. */
export const codeReachesBeyond = (text: string): boolean => inCode.test(text) || calls.test(text);

/** Whether code does what stays done when its transaction is rolled back. */
export const codeActsOutside = (text: string): boolean =>
  calls.test(text) || /\b(to|from)\s+program\b/i.test(text);

const writesFile = ({ is_program: program, is_from: reads, filename }: Statement['node']): boolean =>
  program === true || (filename !== undefined && reads !== true);

/** They may do something in this database, too. */
const mixed: ReadonlySet<string> = new Set(['DoStmt', 'CreateFunctionStmt', 'CallStmt', 'DropOwnedStmt']);

/**
 * The text without such statements, blanks in their places: tried a second time on the server that has them, roles are
 * there already.
 * @returns the statement instead that can be neither run again nor left out
 * @throws SyntaxFault when the text does not parse
 */
export function withinDatabase(text: string): string | Statement {
  let within = text;
  for (const statement of splitStatements(text).filter(reachesBeyond)) {
    if (mixed.has(statement.kind)) return statement;
    const { offset, text: own } = statement;
    within = within.slice(0, offset) + own.replace(/[^\n]/g, ' ') + within.slice(offset + own.length);
  }
  return within;
}
