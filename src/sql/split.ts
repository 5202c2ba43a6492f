import { type Node, parse } from './parse.ts';

/** One SQL statement of a text, with its place in it. */
export interface Statement {
  /** Without leading comments and without the semicolon. */
  readonly text: string;
  /** Characters of the whole text before it. */
  readonly offset: number;
  /** 1-based; columns count characters. */
  readonly line: number;
  readonly column: number;
  /** Type of its parse node, such as `AlterTableStmt`. */
  readonly kind: string;
  /** What stands under that type. */
  readonly node: Node;
}

/**
 * Splits a text into its statements, as PostgreSQL's own parser sees them. The statements' texts, with what lies
 * between them, give back the text.
 * @throws SyntaxFault when the text does not parse
 */
export function splitStatements(text: string): Statement[] {
  const raw = parse(text);
  // The parser counts bytes, JavaScript does not; for plain ASCII they are the same.
  const bytes = Buffer.from(text);
  const ascii = bytes.length === text.length;
  const place = new Place(text);
  let byte = 0;
  let offset = 0;
  return raw.map(({ node, start, end }) => {
    offset += ascii ? start - byte : bytes.toString('utf8', byte, start).length;
    byte = start;
    const statementText = ascii ? text.slice(start, end) : bytes.toString('utf8', start, end);
    const trimmed = statementText.trimEnd();
    const [kind = ''] = Object.keys(node);
    return { text: trimmed, offset, ...place.at(offset), kind, node: node[kind] as Node };
  });
}

/** Line and column of a character, 1-based. */
export const placeOf = (text: string, offset: number): { line: number; column: number } =>
  new Place(text).at(offset);

/** Counts lines once over a text, for offsets that grow. */
class Place {
  readonly #text: string;
  #line = 1;
  #lineStart = 0;

  constructor(text: string) {
    this.#text = text;
  }

  at(offset: number): { line: number; column: number } {
    for (;;) {
      const next = this.#text.indexOf('\n', this.#lineStart);
      if (next === -1 || next >= offset) break;
      this.#line += 1;
      this.#lineStart = next + 1;
    }
    return { line: this.#line, column: offset - this.#lineStart + 1 };
  }
}
