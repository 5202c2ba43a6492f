/** PostgreSQL's own parser (libpg_query, grammar of PostgreSQL 18). The only importer of `libpg-query`. */
import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';

/** A node of PostgreSQL's parse tree: one key, the node's type. */
export type Node = Readonly<Record<string, unknown>>;

export interface RawStatement {
  readonly node: Node;
  /** Where it begins and ends, in UTF-8 bytes of the text; leading comments and the semicolon are outside. */
  readonly start: number;
  readonly end: number;
}

/** A text that PostgreSQL's grammar does not know. `position` is an index into the text. */
export class SyntaxFault extends Error {
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.name = 'SyntaxFault';
    this.position = position;
  }
}

/** Loads the parser once; `parse` needs it. */
export const loadParser = (): Promise<void> => loadModule();

/**
 * Parses a text of any number of statements.
 * @throws SyntaxFault
 */
export function parse(text: string): RawStatement[] {
  // The parser takes an empty text for a mistake of its caller.
  if (text.trim() === '') return [];
  const bytes = Buffer.byteLength(text);
  return parseOrThrow(text).map(({ stmt, stmt_location: start = 0, stmt_len: length }) => ({
    node: stmt as unknown as Node,
    start,
    end: length === undefined ? bytes : start + length,
  }));
}

function parseOrThrow(text: string) {
  try {
    return parseSync(text).stmts ?? [];
  } catch (error) {
    if (hasSqlDetails(error))
      throw new SyntaxFault(error.message, indexOf(text, error.sqlDetails?.cursorPosition ?? 0));
    // Very deep expressions exhaust the parser's stack; it stays usable.
    throw new SyntaxFault(error instanceof Error ? error.message : String(error), 0);
  }
}

/** The parser counts characters, where JavaScript counts UTF-16 units. */
function indexOf(text: string, character: number): number {
  let index = 0;
  for (let count = 0; count < character && index < text.length; count += 1)
    index += (text.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
  return index;
}
