/** Rows of a block in COPY's text format, as JavaScript has them. */
import type { Codec, Column } from './columns.ts';
import { textOfField } from './copy-text.ts';
import { parseValue } from './values.ts';

export type Row = Record<string, unknown>;

/** Rows with what is known of how they were read. */
export interface Block {
  readonly text: string;
  readonly count: number;
  /** Of all rows, column by column, without those that the module does not see. */
  readonly values: readonly unknown[];
  /** Where each value begins in the text, of all rows, column by column; with one more, where the next row would begin. */
  readonly starts: Int32Array;
}

const minus = 45;
const smallT = 116;

export class RowReader {
  readonly #columns: readonly Column[];
  readonly #hidden: readonly boolean[];
  readonly #names: readonly (string | null)[];

  /** @param hidden columns that are not looked into */
  constructor(columns: readonly Column[], hidden: readonly string[]) {
    this.#columns = columns;
    this.#hidden = columns.map(({ name }) => hidden.includes(name));
    this.#names = columns.map(({ name }) => (hidden.includes(name) ? null : name));
  }

  /** @param text of whole rows; `count` of them are read, from the position `at` on */
  read(text: string, at: number, count: number): Block {
    const columns = this.#columns.length;
    const values = new Array<unknown>(count * columns);
    const starts = new Int32Array(count * columns + 1);
    const last = columns - 1;
    let from = at;
    let backslash = nextBackslash(text, at);
    let index = 0;
    for (let row = 0; row < count; row += 1) {
      for (let column = 0; column <= last; column += 1) {
        const to = text.indexOf(column === last ? '\n' : '\t', from);
        starts[index] = from;
        if (backslash < from) backslash = nextBackslash(text, from);
        values[index] =
          this.#hidden[column] === true ? null : this.#value(column, text, from, to, backslash < to);
        index += 1;
        from = to + 1;
      }
    }
    starts[index] = from;
    return { text, count, values, starts };
  }

  /** The rows as the module is given them: new objects, over the values that were read. */
  rows({ values, count }: Block): Row[] {
    const names = this.#names;
    const empty: Row = Object.fromEntries(names.filter((name) => name !== null).map((name) => [name, null]));
    const rows = new Array<Row>(count);
    let index = 0;
    for (let row = 0; row < count; row += 1) {
      // Made from one pattern, all rows have one hidden class, which makes every access to them fast.
      const made = { ...empty };
      for (const name of names) {
        if (name !== null) made[name] = values[index];
        index += 1;
      }
      rows[row] = made;
    }
    return rows;
  }

  #value(column: number, text: string, from: number, to: number, escaped: boolean): unknown {
    const { codec } = this.#columns[column] as Column;
    if (!escaped) return fieldValue(codec, text, from, to);
    const value = textOfField(text.slice(from, to));
    return value === null ? null : parseValue(codec, value);
  }
}

/** Without one in a field it need not be unescaped, and is no NULL: looking for the next one is cheaper than at each. */
function nextBackslash(text: string, from: number): number {
  const found = text.indexOf('\\', from);
  return found === -1 ? text.length : found;
}

function fieldValue(codec: Codec, text: string, from: number, to: number): unknown {
  switch (codec.kind) {
    case 'boolean':
      return text.charCodeAt(from) === smallT;
    case 'integer':
      return wholeNumber(text, from, to);
    case 'bigint':
      return to - from < 16 ? BigInt(wholeNumber(text, from, to)) : BigInt(text.slice(from, to));
    case 'text':
    case 'numeric':
    case 'instant':
      return text.slice(from, to);
    default:
      return parseValue(codec, text.slice(from, to));
  }
}

/** Quicker than cutting the text and parsing it. */
function wholeNumber(text: string, from: number, to: number): number {
  const negative = text.charCodeAt(from) === minus;
  let number = 0;
  for (let at = negative ? from + 1 : from; at < to; at += 1) number = number * 10 + text.charCodeAt(at) - 48;
  return negative ? -number : number;
}
