import { parse, SyntaxFault } from './parse.ts';
import { type Node, visitNodes } from './tree.ts';

export interface Expression {
  /** Without the blanks around it. To be embedded between line breaks: it may end in a comment. */
  readonly text: string;
  /** Names of the columns that it mentions, without those of tables. */
  readonly columns: ReadonlySet<string>;
}

interface Select {
  readonly targetList?: readonly Node[];
}

/** What a SELECT of one expression has, and nothing else. */
const plain = new Set(['targetList', 'limitOption', 'op']);

/**
 * Reads a text that has to be exactly one SQL expression. `a, b`, `a from t`, `a) + (b` and `1; drop table t` are none.
 * @throws SyntaxFault saying what it is instead
 */
export function readExpression(given: string): Expression {
  const text = given.trim();
  if (text === '') throw new SyntaxFault('there is nothing where an expression is expected', 0);
  // Once as it stands, and once as it is embedded: what closes our parenthesis is no expression.
  selectedBy(text);
  const value = selectedBy(`(\n${text}\n)`);
  const columns = new Set<string>();
  visitNodes(value, (kind, node) => {
    if (kind === 'ParamRef') throw new SyntaxFault('an expression takes no parameters ($1)', 0);
    if (kind === 'ColumnRef') columns.add(columnOf(node.fields as readonly Node[]));
  });
  return { text, columns };
}

function selectedBy(text: string): Node {
  const statements = parse(`SELECT ${text}`);
  const select = statements[0]?.node.SelectStmt as Select | undefined;
  const [target, ...more] = select?.targetList ?? [];
  const isOne =
    statements.length === 1 &&
    select !== undefined &&
    more.length === 0 &&
    Object.keys(select).every((key) => plain.has(key)) &&
    target !== undefined &&
    'ResTarget' in target &&
    target.ResTarget.name === undefined &&
    target.ResTarget.val !== undefined;
  if (!isOne) throw new SyntaxFault('it is not exactly one expression', 0);
  return target.ResTarget.val as Node;
}

function columnOf(fields: readonly Node[]): string {
  const last = fields.at(-1);
  if (last !== undefined && 'String' in last) return last.String.sval ?? '';
  throw new SyntaxFault('"*" is not one expression', 0);
}
