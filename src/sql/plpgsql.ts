/** The statements inside PL/pgSQL code, as PostgreSQL's own PL/pgSQL parser sees them. */
import { parsePlPgSQLSync } from 'libpg-query';
import { SyntaxFault } from './parse.ts';

/** One SQL statement, or one EXECUTE, in the body of a function or DO block. */
export interface EmbeddedStatement {
  /** The statement; of an EXECUTE the expression that makes its text. */
  readonly sql: string;
  readonly dynamic: boolean;
  /** Line within the text that was given, 1-based. */
  readonly line: number;
  /** What has to hold for it to be run: expressions, each wanted true or false. */
  readonly conditions: readonly Condition[];
  /** It is run once for each row of a query, or as long as something holds. */
  readonly repeated: boolean;
  /** Names of the conditions that are caught around it (`duplicate_object`). */
  readonly catches: readonly string[];
}

export interface Condition {
  readonly expression: string;
  readonly wanted: boolean;
}

type Json = Readonly<Record<string, unknown>>;
interface Around {
  readonly conditions: readonly Condition[];
  readonly repeated: boolean;
  readonly catches: readonly string[];
}

/**
 * @param text the whole `DO …` or `CREATE FUNCTION … LANGUAGE plpgsql` statement
 * @throws SyntaxFault when the body does not parse
 */
export function embeddedStatements(text: string): EmbeddedStatement[] {
  const parsed = parseBody(text);
  const found: EmbeddedStatement[] = [];
  // Lines are counted from the one on which the body begins.
  const before = lineOfBody(text);
  for (const item of parsed.plpgsql_funcs ?? [])
    visit(objectIn(objectIn(item, 'PLpgSQL_function'), 'action'), before, outermost, found);
  return found;
}

const outermost: Around = { conditions: [], repeated: false, catches: [] };

function parseBody(text: string): { plpgsql_funcs?: readonly Json[] } {
  try {
    return parsePlPgSQLSync(text) as { plpgsql_funcs?: readonly Json[] };
  } catch (error) {
    throw new SyntaxFault(error instanceof Error ? error.message : String(error), 0);
  }
}

function lineOfBody(text: string): number {
  const quote = /\$[\w\u0080-\uffff]*\$|'/.exec(
    text.replace(/--[^\n]*/g, (comment) => ' '.repeat(comment.length)),
  );
  return quote === null ? 0 : text.slice(0, quote.index).split('\n').length - 1;
}

const asObject = (value: unknown): Json =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Json) : {};
const objectIn = (value: unknown, key: string): Json => asObject(asObject(value)[key]);
const listIn = (value: Json, key: string): readonly unknown[] => {
  const list = value[key];
  return Array.isArray(list) ? list : [];
};
const queryOf = (value: Json, key: string): string => {
  const { query } = objectIn(objectIn(value, key), 'PLpgSQL_expr');
  return typeof query === 'string' ? query : '';
};

function visit(node: Json, before: number, around: Around, found: EmbeddedStatement[]): void {
  for (const [kind, inner] of Object.entries(node))
    visitStatement(kind, asObject(inner), before, around, found);
}

function visitAll(
  statements: readonly unknown[],
  before: number,
  around: Around,
  found: EmbeddedStatement[],
): void {
  for (const statement of statements) visit(asObject(statement), before, around, found);
}

function visitStatement(
  kind: string,
  node: Json,
  before: number,
  around: Around,
  found: EmbeddedStatement[],
): void {
  const line = before + (typeof node.lineno === 'number' ? node.lineno : 1);
  const add = (sql: string, dynamic: boolean): void => {
    if (sql !== '') found.push({ sql, dynamic, line, ...around });
  };
  switch (kind) {
    case 'PLpgSQL_stmt_execsql':
      add(queryOf(node, 'sqlstmt'), false);
      break;
    case 'PLpgSQL_stmt_perform':
    case 'PLpgSQL_stmt_call':
      add(queryOf(node, 'expr'), false);
      break;
    case 'PLpgSQL_stmt_dynexecute':
      add(queryOf(node, 'query'), true);
      break;
    case 'PLpgSQL_stmt_if':
      visitIf(node, before, around, found);
      break;
    case 'PLpgSQL_stmt_block': {
      const block = objectIn(objectIn(node, 'exceptions'), 'PLpgSQL_exception_block');
      const handlers = listIn(block, 'exc_list').map((item) => objectIn(item, 'PLpgSQL_exception'));
      const catches = handlers.flatMap((handler) => conditionNames(handler));
      visitAll(listIn(node, 'body'), before, { ...around, catches: [...around.catches, ...catches] }, found);
      break;
    }
    default: {
      // Loops of every kind, and CASE, whose branches are taken as run.
      const repeated = around.repeated || /_(loop|while|for.|foreach.*|dynfors)$/.test(kind);
      const within = { ...around, repeated };
      visitAll(listIn(node, 'body'), before, within, found);
      visitAll(listIn(node, 'stmts'), before, within, found);
      visitAll(listIn(node, 'case_when_list'), before, within, found);
      visitAll(listIn(node, 'else_stmts'), before, within, found);
    }
  }
}

function visitIf(node: Json, before: number, around: Around, found: EmbeddedStatement[]): void {
  const failed: Condition[] = [];
  const branch = (expression: string, statements: readonly unknown[]): void => {
    const conditions = [...around.conditions, ...failed, { expression, wanted: true }];
    visitAll(statements, before, { ...around, conditions }, found);
    failed.push({ expression, wanted: false });
  };
  branch(queryOf(node, 'cond'), listIn(node, 'then_body'));
  for (const item of listIn(node, 'elsif_list')) {
    const elsif = objectIn(item, 'PLpgSQL_if_elsif');
    branch(queryOf(elsif, 'cond'), listIn(elsif, 'stmts'));
  }
  visitAll(
    listIn(node, 'else_body'),
    before,
    { ...around, conditions: [...around.conditions, ...failed] },
    found,
  );
}

function conditionNames(handler: Json): string[] {
  return listIn(handler, 'conditions').flatMap((item) => {
    const { condname } = objectIn(item, 'PLpgSQL_condition');
    return typeof condname === 'string' ? [condname] : [];
  });
}
