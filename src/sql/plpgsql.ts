/** The statements inside PL/pgSQL code, in the order of its text, and what is known where each of them stands. */
import {
  asObject,
  type Branch,
  caseBranches,
  fieldsOf,
  handlersOf,
  ifBranches,
  type Json,
  listIn,
  objectIn,
  parseBodies,
  queryOf,
  recordOf,
  setIn,
  variableNames,
} from './plpgsql-tree.ts';
import {
  arrayItems,
  asksDatabase,
  constantRows,
  foundBy,
  type Row,
  selectedValue,
  substitute,
  type Variables,
} from './plpgsql-variables.ts';
import { type Node, parseExpression } from './tree.ts';

/** One SQL statement, or one EXECUTE, in the body of a function or DO block. */
export interface EmbeddedStatement {
  /** The statement; of an EXECUTE the expression that makes its text. */
  readonly sql: string;
  readonly dynamic: boolean;
  /** Line within the text that was given, 1-based. */
  readonly line: number;
  /** What has to hold for it to be run. */
  readonly conditions: readonly Condition[];
  /** Names of the conditions that are caught around it (`duplicate_object`). */
  readonly catches: readonly string[];
  /** What variables stand for there. */
  readonly variables: Variables;
}

/** Asked once, at its place among the statements; what is done after it does not change the answer. */
export interface Question {
  readonly expression: string;
  readonly variables: Variables;
}

export interface Condition {
  readonly question: Question;
  readonly wanted: boolean;
}

type Around = Pick<EmbeddedStatement, 'conditions' | 'catches'>;

/**
 * A loop over constants is given once for each of them.
 * @param text the whole `DO …` or `CREATE FUNCTION … LANGUAGE plpgsql` statement
 * @throws SyntaxFault when the body does not parse
 */
export function readCode(text: string): (EmbeddedStatement | Question)[] {
  // Lines are counted from the one on which the body begins.
  const before = lineOfBody(text);
  return parseBodies(text).flatMap((code) => new Reader(before, code).read());
}

/** @throws SyntaxFault as `readCode` does */
export const embeddedStatements = (text: string): EmbeddedStatement[] =>
  readCode(text).filter((item) => 'sql' in item);

function lineOfBody(text: string): number {
  const quote = /\$[\w\u0080-\uffff]*\$|'/.exec(
    text.replace(/--[^\n]*/g, (comment) => ' '.repeat(comment.length)),
  );
  return quote === null ? 0 : text.slice(0, quote.index).split('\n').length - 1;
}

/** So many rounds of loops are given in one body. */
const mostRounds = 200;
/** Of a variable's value, as JSON: `text := text || text` doubles it. */
const longestValue = 200_000;

/** Where the SQL stands in the statements that have some. */
const sqlIn: Readonly<Record<string, string>> = {
  PLpgSQL_stmt_execsql: 'sqlstmt',
  PLpgSQL_stmt_perform: 'expr',
  PLpgSQL_stmt_call: 'expr',
  PLpgSQL_stmt_dynexecute: 'query',
};

/** These make no object and take none away; functions that they call may. */
const ofRows = /^\s*(select|insert|update|delete|merge|values|with|table)\b/i;

class Reader {
  readonly #found: (EmbeddedStatement | Question)[] = [];
  readonly #before: number;
  readonly #code: Json;
  readonly #names: readonly string[];
  #variables: Variables = new Map();
  /** Names of variables that once stood for what only the database answers. */
  readonly #answers = new Set<string>();
  #rounds = 0;
  #changes = 0;

  constructor(before: number, code: Json) {
    const datums = listIn(code, 'datums').map(asObject);
    this.#before = before;
    this.#code = code;
    this.#names = variableNames(datums);
    for (const [number, datum] of datums.entries()) {
      const name = this.#names[number] ?? '';
      // Of two variables of one name, in blocks within each other, either may be meant.
      const isOnly = this.#names.indexOf(name) === this.#names.lastIndexOf(name);
      const value = parseExpression(queryOf(objectIn(datum, 'PLpgSQL_var'), 'default_val'));
      if (isOnly && value !== null) this.#assign(name, substitute(value, this.#variables));
    }
  }

  read(): (EmbeddedStatement | Question)[] {
    this.#all([objectIn(this.#code, 'action')], { conditions: [], catches: [] });
    return this.#found;
  }

  /** What stands behind `IF … THEN RETURN` is run only where that does not hold. */
  #all(statements: readonly unknown[], around: Around): void {
    let within = around;
    for (const statement of statements)
      for (const [kind, node] of Object.entries(asObject(statement))) {
        const question = this.#statement(kind, asObject(node), within);
        if (question !== null && leaves(node))
          within = { ...within, conditions: [...within.conditions, { question, wanted: false }] };
      }
  }

  /** Of an IF what it asks first. */
  #statement(kind: string, node: Json, around: Around): Question | null {
    if (kind === 'PLpgSQL_stmt_if') return this.#branches(node, ifBranches(node), 'else_body', around);
    if (kind === 'PLpgSQL_stmt_case') this.#branches(node, caseBranches(node), 'else_stmts', around);
    else if (kind === 'PLpgSQL_stmt_block') this.#block(node, around);
    else if (listIn(node, 'body').length > 0) this.#loop(kind, node, around);
    else this.#simple(kind, node, around);
    return null;
  }

  #branches(node: Json, branches: readonly Branch[], otherwise: string, around: Around): Question | null {
    const before = this.#variables;
    const questions = branches.map(({ expression }) => ({ expression, variables: before }));
    this.#found.push(...questions);
    const failed = questions.map((question): Condition => ({ question, wanted: false }));
    const within = (conditions: readonly Condition[]): Around => ({
      ...around,
      conditions: [...around.conditions, ...conditions],
    });
    this.#apart(node, () => {
      for (const [index, { statements }] of branches.entries()) {
        this.#variables = before;
        const taken = questions.slice(index, index + 1).map((question) => ({ question, wanted: true }));
        this.#all(statements, within([...failed.slice(0, index), ...taken]));
      }
      this.#variables = before;
      this.#all(listIn(node, otherwise), within(failed));
    });
    return questions[0] ?? null;
  }

  #block(node: Json, around: Around): void {
    const handlers = handlersOf(node);
    const catches = [...around.catches, ...handlers.flatMap(({ conditions }) => conditions)];
    const body = (): void => this.#all(listIn(node, 'body'), { ...around, catches });
    if (handlers.length === 0) {
      body();
      return;
    }
    this.#apart(node, () => {
      body();
      for (const { statements } of handlers) this.#apart(node, () => this.#all(statements, around));
    });
  }

  #loop(kind: string, node: Json, around: Around): void {
    const rounds = this.#roundsOf(kind, node);
    const loop = { [kind]: node };
    this.#apart(loop, () => {
      this.#forget(setIn(loop, this.#names));
      // What a variable was told before would be asked again in each round.
      this.#forget(this.#answers);
      const before = this.#variables;
      for (const round of rounds ?? [new Map()]) {
        this.#variables = new Map([...before, ...round]);
        this.#all(listIn(node, 'body'), around);
      }
    });
  }

  /** What is set where it may not be run, or be run again, is not known afterwards. */
  #apart(code: Json, read: () => void): void {
    const before = this.#variables;
    const changes = this.#changes;
    read();
    this.#variables = before;
    this.#forget(setIn(code, this.#names));
    if (this.#changes > changes) this.#forget(this.#answers);
  }

  #simple(kind: string, node: Json, around: Around): void {
    const sql = queryOf(node, sqlIn[kind] ?? '');
    const dynamic = kind === 'PLpgSQL_stmt_dynexecute';
    const line = this.#before + (typeof node.lineno === 'number' ? node.lineno : 1);
    if (sql !== '') {
      this.#found.push({ sql, dynamic, line, ...around, variables: this.#variables });
      if (dynamic || !ofRows.test(sql)) {
        this.#changes += 1;
        this.#forget(this.#answers);
      }
    }
    const before = this.#variables;
    this.#forget(setIn({ [kind]: node }, this.#names));
    const set = (name: string, value: Node | null): void =>
      this.#assign(name, value === null ? null : substitute(value, before));
    if (kind === 'PLpgSQL_stmt_assign')
      set(this.#nameAt(node.varno), parseExpression(assigned(queryOf(node, 'expr'))));
    if (kind === 'PLpgSQL_stmt_perform' || (node.into === true && /^\s*select\b/i.test(sql))) {
      set('found', foundBy(sql));
      const [name, second] = fieldsOf(objectIn(node, 'target'));
      if (name !== undefined && second === undefined && !dynamic) set(name, selectedValue(sql));
    }
  }

  /** What a loop over constants sets in each of its rounds; null where that is not known. */
  #roundsOf(kind: string, node: Json): Row[] | null {
    const rounds =
      kind === 'PLpgSQL_stmt_foreach_a'
        ? this.#items(node)?.map((item) => new Map([[this.#nameAt(node.varno), item]]))
        : this.#rows(node);
    if (rounds == null || this.#rounds + rounds.length > mostRounds) return null;
    this.#rounds += rounds.length;
    return rounds;
  }

  #items(node: Json): Node[] | null {
    const array = parseExpression(queryOf(node, 'expr'));
    return array === null ? null : arrayItems(substitute(array, this.#variables));
  }

  #rows(node: Json): Row[] | null {
    const query = queryOf(node, 'query');
    const target = objectIn(node, 'var');
    const record = recordOf(target);
    const names = fieldsOf(target);
    return query === ''
      ? null
      : (constantRows(query, this.#variables)?.map(
          (row) =>
            new Map(
              [...row].map(([column, value], index): [string, Node] => [
                record === null ? (names[index] ?? '') : `${record}.${column}`,
                value,
              ]),
            ),
        ) ?? null);
  }

  #assign(name: string, value: Node | null): void {
    if (value === null || JSON.stringify(value).length > longestValue) {
      this.#forget([name]);
      return;
    }
    if (asksDatabase(value)) this.#answers.add(name);
    this.#variables = new Map([...this.#variables, [name, value]]);
  }

  #forget(names: Iterable<string>): void {
    const gone = new Set(names);
    // A record is set as a whole.
    const isGone = (name: string): boolean => gone.has(name) || gone.has(name.replace(/\..*$/s, ''));
    if (this.#variables.size > 0 && gone.size > 0)
      this.#variables = new Map([...this.#variables].filter(([name]) => !isGone(name)));
  }

  #nameAt = (number: unknown): string => (typeof number === 'number' ? (this.#names[number] ?? '') : '');
}

/** Whether what follows is reached only where the first branch is not taken. */
const leaves = (branch: unknown): boolean =>
  'PLpgSQL_stmt_return' in asObject(listIn(asObject(branch), 'then_body').at(-1));

/** What stands behind the `:=`; nothing of `list[1] := …`, which sets a part of the variable. */
const assigned = (text: string): string => /^[^[=]*?:?=(.*)$/s.exec(text)?.[1] ?? '';
