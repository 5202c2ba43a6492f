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
  'CreateForeignServerStmt',
  'AlterForeignServerStmt',
  'ReassignOwnedStmt',
]);

/** In code it is looked for in the text: what it runs in the end only its execution shows. */
const inCode =
  /\b(create|alter|drop)\s+(role|user|group|database|tablespace|subscription|system|server)\b|\bgrant\s+[^;]*?\bto\b[^;]*\badmin\b|\bdblink(_exec|_connect)?\s*\(/i;

/** `ALTER ROLE … RENAME`, `COMMENT ON DATABASE`. */
const ofServer = /^(alter|comment\s+on)\s+(role|user|group|database|tablespace|subscription)\b/i;

const code: ReadonlySet<string> = new Set(['DoStmt', 'CreateFunctionStmt', 'SelectStmt', 'CallStmt']);

/** Whether it reaches beyond the database in which it runs: roles, databases, tablespaces, other servers. */
export const reachesBeyond = ({ kind, text }: Statement): boolean =>
  kinds.has(kind) || ofServer.test(text) || (code.has(kind) && inCode.test(text));

/**
 * The text without such statements, blanks in their places: tried a second time on the server that has them, roles are
 * there already.
 * @throws SyntaxFault when the text does not parse
 */
export function withinDatabase(text: string): string {
  let within = text;
  for (const { offset, text: own } of splitStatements(text).filter(reachesBeyond))
    within = within.slice(0, offset) + own.replace(/[^\n]/g, ' ') + within.slice(offset + own.length);
  return within;
}
