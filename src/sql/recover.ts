/** Splits a text of which parts do not parse, so that one bad statement does not hide the others. */
import { parse, SyntaxFault } from './parse.ts';
import { Place, type Statement, splitStatements } from './split.ts';

/** A part of a text that PostgreSQL's grammar does not know. */
export interface Unparsable {
  readonly message: string;
  /** The part. */
  readonly text: string;
  /** Of the fault, 1-based. */
  readonly line: number;
  readonly column: number;
}

export interface Split {
  readonly statements: readonly Statement[];
  readonly unparsable: readonly Unparsable[];
}

/** Never throws. A text that parses is parsed once, whole. */
export function splitOrRecover(text: string): Split {
  try {
    return { statements: splitStatements(text), unparsable: [] };
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
  }
  const statements: Statement[] = [];
  const unparsable: Unparsable[] = [];
  const places = new Place(text);
  for (const { start, end } of pieces(text)) {
    const piece = text.slice(start, end);
    try {
      for (const statement of parse(piece).length === 0 ? [] : splitStatements(piece)) {
        const offset = start + statement.offset;
        statements.push({ ...statement, offset, ...places.at(offset) });
      }
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error;
      const place = places.at(start + firstOf(piece, error.position));
      unparsable.push({ message: error.message, text: piece.trim(), ...place });
    }
  }
  return { statements, unparsable };
}

/** A fault at the end of a piece is shown at its beginning. */
function firstOf(piece: string, position: number): number {
  const begin = piece.search(/\S/);
  return position >= piece.trimEnd().length ? Math.max(begin, 0) : position;
}

/** What the scanner passes over whole: quoted text, comments. Each begins where it is tried. */
const wholes: readonly RegExp[] = [
  /--[^\n]*/y,
  /[eE]'(?:[^'\\]|\\[\s\S]|'')*'/y,
  /'(?:[^']|'')*'/y,
  /"(?:[^"]|"")*"/y,
  /\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$/y,
];

/** From one semicolon to the next, as far as quotes and comments tell; a line of psql's own (`\i`) stands alone. */
function pieces(text: string): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  let start = 0;
  let at = 0;
  const cut = (end: number): void => {
    if (text.slice(start, end).trim() !== '') found.push({ start, end });
    start = end;
  };
  while (at < text.length) {
    const character = text[at];
    if (character === '\\' && text.slice(start, at).trim() === '') {
      const newline = text.indexOf('\n', at);
      at = newline === -1 ? text.length : newline;
      cut(at);
      continue;
    }
    if (character === ';') {
      at += 1;
      cut(at);
      continue;
    }
    at = text.startsWith('/*', at) ? endOfComment(text, at) : pastWhole(text, at);
  }
  cut(text.length);
  return found;
}

function pastWhole(text: string, at: number): number {
  for (const whole of wholes) {
    whole.lastIndex = at;
    const match = whole.exec(text);
    if (match !== null) return at + match[0].length;
  }
  // A word is passed over whole, so that its last letter is not taken for the E of E'…'.
  const word = /[\w$\u0080-\uffff]+/y;
  word.lastIndex = at;
  return at + (word.exec(text)?.[0].length ?? 1);
}

/** Block comments nest. */
function endOfComment(text: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let depth = 0;
  for (let match = mark.exec(text); match !== null; match = mark.exec(text)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return text.length;
}
