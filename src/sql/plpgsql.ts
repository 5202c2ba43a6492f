/** The statements inside PL/pgSQL code, as PostgreSQL's own PL/pgSQL parser sees them. */
import { parsePlPgSQLSync } from 'libpg-query';
import { SyntaxFault } from './parse.ts';
import { arrayItems, asLiteral, constantRows, substitute, type Variables } from './plpgsql-variables.ts';
import { parseExpression } from './tree.ts';

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
  readonly variables: Variables;
}

export interface Condition {
  readonly expression: string;
  readonly wanted: boolean;
  /** What variables stand for where it is asked. */
  readonly variables: Variables;
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
  // Lines are counted from the one on which the body begins.
  const before = lineOfBody(text);
  return (parsed.plpgsql_funcs ?? []).flatMap((item) => {
    const code = objectIn(item, 'PLpgSQL_function');
    const reader = new Reader(before, listIn(code, 'datums').map(asObject));
    reader.visit(objectIn(code, 'action'), outermost);
    return reader.found;
  });
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

/** A loop over constants is unrolled, up to so many of them. */
const mostRounds = 100;

/** Goes through a body in the order of its text, and knows what its variables stand for. */
class Reader {
  readonly found: EmbeddedStatement[] = [];
  readonly #before: number;
  readonly #names: readonly string[];
  readonly #variables = new Map<string, string>();

  constructor(before: number, datums: readonly Json[]) {
    this.#before = before;
    this.#names = datums.map((datum) => nameOf(datum));
    for (const datum of datums) {
      const value = queryOf(objectIn(datum, 'PLpgSQL_var'), 'default_val');
      if (value !== '') this.#variables.set(nameOf(datum), value);
    }
  }

  visit(node: Json, around: Around): void {
    for (const [kind, inner] of Object.entries(node)) this.#statement(kind, asObject(inner), around);
  }

  /** What stands behind `IF … THEN RETURN` is run only where that does not hold. */
  #all(statements: readonly unknown[], around: Around): void {
    let within = around;
    for (const item of statements) {
      const statement = asObject(item);
      this.visit(statement, within);
      const condition = this.#leaving(objectIn(statement, 'PLpgSQL_stmt_if'));
      if (condition !== null) within = { ...within, conditions: [...within.conditions, condition] };
    }
  }

  #leaving(branch: Json): Condition | null {
    const expression = queryOf(branch, 'cond');
    const last = asObject(listIn(branch, 'then_body').at(-1));
    return expression !== '' && 'PLpgSQL_stmt_return' in last
      ? { expression, wanted: false, variables: new Map(this.#variables) }
      : null;
  }

  #statement(kind: string, node: Json, around: Around): void {
    const line = this.#before + (typeof node.lineno === 'number' ? node.lineno : 1);
    const add = (sql: string, dynamic: boolean): void => {
      if (sql !== '') this.found.push({ sql, dynamic, line, ...around, variables: new Map(this.#variables) });
    };
    switch (kind) {
      case 'PLpgSQL_stmt_execsql':
        add(queryOf(node, 'sqlstmt'), false);
        this.#selected(node, queryOf(node, 'sqlstmt'), around);
        break;
      case 'PLpgSQL_stmt_perform':
        add(queryOf(node, 'expr'), false);
        this.#set('found', `exists (${queryOf(node, 'expr')})`, around);
        break;
      case 'PLpgSQL_stmt_call':
        add(queryOf(node, 'expr'), false);
        break;
      case 'PLpgSQL_stmt_assign':
        this.#set(this.#nameAt(node.varno), queryOf(node, 'expr').replace(/^.*?(?::=|=)/s, ''), around);
        break;
      case 'PLpgSQL_stmt_dynexecute':
        add(queryOf(node, 'query'), true);
        this.#forget(node);
        break;
      case 'PLpgSQL_stmt_if':
        this.#branches(ifBranches(node), listIn(node, 'else_body'), around);
        break;
      case 'PLpgSQL_stmt_case':
        this.#branches(caseBranches(node), listIn(node, 'else_stmts'), around);
        break;
      case 'PLpgSQL_stmt_block': {
        const block = objectIn(objectIn(node, 'exceptions'), 'PLpgSQL_exception_block');
        const handlers = listIn(block, 'exc_list').map((item) => objectIn(item, 'PLpgSQL_exception'));
        const catches = handlers.flatMap((handler) => conditionNames(handler));
        this.#all(listIn(node, 'body'), { ...around, catches: [...around.catches, ...catches] });
        break;
      }
      default:
        this.#loop(kind, node, { ...around, repeated: true });
    }
  }

  #branches(branches: readonly Branch[], otherwise: readonly unknown[], around: Around): void {
    const variables = new Map(this.#variables);
    const failed: Condition[] = [];
    const within = (more: readonly Condition[]): Around => ({
      ...around,
      conditions: [...around.conditions, ...failed, ...more],
    });
    for (const { expression, statements } of branches) {
      this.#all(statements, within([{ expression, wanted: true, variables }]));
      failed.push({ expression, wanted: false, variables });
    }
    this.#all(otherwise, within([]));
  }

  #loop(kind: string, node: Json, around: Around): void {
    const body = listIn(node, 'body');
    const rounds = body.length === 0 ? null : this.#rounds(kind, node);
    // What the loop itself sets is something else each time.
    this.#forget(node);
    for (const round of rounds ?? [new Map<string, string>()]) {
      for (const [name, value] of round) this.#variables.set(name, value);
      this.#all(body, around);
      for (const name of round.keys()) this.#variables.delete(name);
    }
  }

  /** What a loop over constants sets in each of its rounds; null where that is not known. */
  #rounds(kind: string, node: Json): Map<string, string>[] | null {
    const rounds =
      kind === 'PLpgSQL_stmt_foreach_a'
        ? this.#items(node)?.map((item) => new Map([[this.#nameAt(node.varno), asLiteral(item)]]))
        : this.#rows(node);
    return rounds == null || rounds.length > mostRounds ? null : rounds;
  }

  #items(node: Json): string[] | null {
    const array = parseExpression(queryOf(node, 'expr'));
    return array === null ? null : arrayItems(substitute(array, this.#variables));
  }

  #rows(node: Json): Map<string, string>[] | null {
    const query = queryOf(node, 'query');
    const rows = query === '' ? null : constantRows(query, this.#variables);
    const target = objectIn(node, 'var');
    const record = objectIn(target, 'PLpgSQL_rec').refname;
    const names = fieldsOf(target).map((field) => String(field.name));
    return (
      rows?.map(
        (row) =>
          new Map(
            [...row].map(([column, value], index): [string, string] => [
              typeof record === 'string' ? `${record}.${column}` : (names[index] ?? ''),
              value,
            ]),
          ),
      ) ?? null
    );
  }

  /** `SELECT … INTO variable`. */
  #selected(node: Json, query: string, around: Around): void {
    this.#forget(node);
    const fields = fieldsOf(objectIn(node, 'target'));
    if (node.into !== true || !/^\s*select\b/i.test(query)) {
      this.#variables.delete('found');
      return;
    }
    this.#set('found', `exists (${query})`, around);
    const [field, second] = fields;
    if (field !== undefined && second === undefined) this.#set(String(field.name), `(${query})`, around);
  }

  /** What is set only under some condition, or again and again, is not known afterwards. */
  #set(name: string, value: string, { conditions, repeated }: Around): void {
    if (conditions.length > 0 || repeated || value === '') this.#variables.delete(name);
    else this.#variables.set(name, this.#settled(name, value));
  }

  /** `text := text || '…'` would stand for itself. */
  #settled(name: string, value: string): string {
    const old = this.#variables.get(name);
    return old === undefined
      ? value
      : value.replaceAll(new RegExp(`(?<![\\w.'"])${name}(?![\\w.'"])`, 'g'), `(${old})`);
  }

  #forget(node: Json): void {
    for (const name of this.#setIn(node)) this.#variables.delete(name);
  }

  /** The variables that something sets, wherever in it. */
  #setIn(value: unknown): string[] {
    if (Array.isArray(value)) return value.flatMap((item) => this.#setIn(item));
    return Object.entries(asObject(value)).flatMap(([key, inner]) => {
      const { varno, refname } = asObject(inner);
      const own =
        key === 'PLpgSQL_stmt_assign' || key === 'PLpgSQL_stmt_foreach_a' ? [this.#nameAt(varno)] : [];
      const fields = key === 'PLpgSQL_row' ? fieldsOf({ [key]: inner }).map(({ name }) => String(name)) : [];
      const loop = key === 'PLpgSQL_var' && typeof refname === 'string' ? [refname] : [];
      return [...own, ...fields, ...loop, ...this.#setIn(inner)];
    });
  }

  #nameAt = (number: unknown): string => (typeof number === 'number' ? (this.#names[number] ?? '') : '');
}

interface Branch {
  readonly expression: string;
  readonly statements: readonly unknown[];
}

const ifBranches = (node: Json): Branch[] => [
  { expression: queryOf(node, 'cond'), statements: listIn(node, 'then_body') },
  ...listIn(node, 'elsif_list').map((item) => {
    const elsif = objectIn(item, 'PLpgSQL_if_elsif');
    return { expression: queryOf(elsif, 'cond'), statements: listIn(elsif, 'stmts') };
  }),
];

const caseBranches = (node: Json): Branch[] =>
  listIn(node, 'case_when_list').map((item) => {
    const when = objectIn(item, 'PLpgSQL_case_when');
    return { expression: queryOf(when, 'expr'), statements: listIn(when, 'stmts') };
  });

const nameOf = (datum: Json): string => {
  const [variable] = Object.values(datum).map(asObject);
  return typeof variable?.refname === 'string' ? variable.refname : '';
};

const fieldsOf = (target: Json): Json[] => listIn(objectIn(target, 'PLpgSQL_row'), 'fields').map(asObject);

function conditionNames(handler: Json): string[] {
  return listIn(handler, 'conditions').flatMap((item) => {
    const { condname } = objectIn(item, 'PLpgSQL_condition');
    return typeof condname === 'string' ? [condname] : [];
  });
}
