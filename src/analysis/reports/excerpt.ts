/** The line of a file that a violation points to, cut to the room that there is. */
import type { StatementAnalysis } from '../analyse.ts';
import { statementAt } from './report.ts';
import { cells, visibleCharacter } from './visible.ts';

export interface Excerpt {
  readonly text: string;
  /** Cells before the offending part, and under it. */
  readonly before: number;
  readonly under: number;
}

const tab = 4;
const cut = '…';

/** A file's lines, taken apart once. */
export class SourceView {
  readonly #lines: readonly string[];
  readonly #statements: readonly StatementAnalysis[];
  readonly #characters = new Map<number, readonly string[]>();
  readonly #ends = new Map<StatementAnalysis, { line: number; column: number }>();

  constructor(text: string, statements: readonly StatementAnalysis[]) {
    this.#lines = text.split('\n');
    this.#statements = statements;
  }

  /** The offending part reaches from the column to the end of the statement, or of the line. */
  at(line: number, column: number, room: number): Excerpt {
    const characters = this.#charactersOf(line);
    const from = Math.min(column - 1, characters.length);
    const to = Math.max(this.#endOn(line, column, characters), from);
    const first = firstShown(characters, from, to, room);
    const shown: string[] = first > 0 ? [cut] : [];
    let used = first > 0 ? 1 : 0;
    let before = used;
    let under = 0;
    for (let index = first; index < characters.length; index += 1) {
      const text = cellText(characters[index] ?? '', used);
      const size = cells(text);
      const isLast = index === characters.length - 1;
      if (used + size + (isLast ? 0 : 1) > room) {
        shown.push(cut);
        if (index < to) under += 1;
        break;
      }
      shown.push(text);
      used += size;
      if (index < from) before += size;
      else if (index < to) under += size;
    }
    return { text: shown.join(''), before, under: Math.max(under, 1) };
  }

  #charactersOf(line: number): readonly string[] {
    let characters = this.#characters.get(line);
    if (characters === undefined) {
      characters = Array.from((this.#lines[line - 1] ?? '').trimEnd());
      this.#characters.set(line, characters);
    }
    return characters;
  }

  #endOn(line: number, column: number, characters: readonly string[]): number {
    const statement = statementAt(this.#statements, line, column);
    if (statement === undefined) return characters.length;
    const end = this.#endOf(statement);
    return end.line === line ? Math.min(end.column - 1, characters.length) : characters.length;
  }

  /** The place just behind a statement. */
  #endOf(statement: StatementAnalysis): { line: number; column: number } {
    let end = this.#ends.get(statement);
    if (end === undefined) {
      const lines = statement.text.split('\n');
      const last = Array.from(lines.at(-1) ?? '').length;
      end = {
        line: statement.line + lines.length - 1,
        column: lines.length === 1 ? statement.column + last : last + 1,
      };
      this.#ends.set(statement, end);
    }
    return end;
  }
}

/** From the line's beginning where the part fits; else so that a third of the room shows what stands before it. */
function firstShown(characters: readonly string[], from: number, to: number, room: number): number {
  let needed = 0;
  for (let index = 0; index < to && needed <= room; index += 1)
    needed += cells(cellText(characters[index] ?? '', needed));
  if (needed + 1 <= room) return 0;
  let first = from;
  for (let used = 0; first > 0; first -= 1) {
    used += cells(cellText(characters[first - 1] ?? '', 0));
    if (used > room / 3) break;
  }
  return first;
}

/** A tab reaches to the next column that `tab` divides. */
const cellText = (character: string, used: number): string =>
  character === '\t' ? ' '.repeat(tab - (used % tab)) : visibleCharacter(character);
