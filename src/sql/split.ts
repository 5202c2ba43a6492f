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

/** Line and column of a character of a statement, in its file. */
export function placeWithin(
  { text, line, column }: Statement,
  offset: number,
): { line: number; column: number } {
  const before = text.slice(0, offset);
  const newline = before.lastIndexOf('\n');
  if (newline === -1) return { line, column: column + codePoints(before) };
  return { line: line + before.split('\n').length - 1, column: codePoints(before.slice(newline + 1)) + 1 };
}

/** Counts lines and columns once over a text, for offsets that grow. */
export class Place {
  readonly #text: string;
  #line = 1;
  #lineStart = 0;
  /** Up to here columns are counted. */
  #counted = 0;
  #column = 1;

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
    if (this.#counted < this.#lineStart) {
      this.#counted = this.#lineStart;
      this.#column = 1;
    }
    this.#column += codePoints(this.#text.slice(this.#counted, offset));
    this.#counted = offset;
    return { line: this.#line, column: this.#column };
  }
}

/** A character beyond the first 65,536 is two units in JavaScript. */
const codePoints = (text: string): number => text.length - (text.match(/[\ud800-\udbff]/g)?.length ?? 0);
