/** Rows that a module gave back, as text for COPY. */
import type { Codec, Column } from './columns.ts';
import { escapeField, nullField, textOfField } from './copy-text.ts';
import { hasInexactNumber, mayChange } from './json-text.ts';
import type { Block, Row } from './read-rows.ts';
import type { Shape } from './request.ts';
import { parseValue, printValue, Unfit } from './values.ts';

/** What is wrong with a row that the module gave back. */
export class RowRefused extends Error {
  /** Null where it is not about a value. */
  readonly column: string | null;

  constructor(column: string | null, message: string) {
    super(message);
    this.column = column;
  }
}

/** Where a column that is written comes from. */
interface Written {
  readonly name: string;
  readonly column: Column;
  /** The column that was read under this name, or that is the key; -1 where there is none. */
  readonly source: number;
  /** How what the module gives is looked at. */
  readonly from: 'hidden' | 'key' | 'read' | 'module';
}

/**
 * Writes rows. A value that the module left alone is written as it was read, to the letter: that costs least, and what
 * JavaScript cannot hold exactly stays what it is.
 */
export class RowWriter {
  readonly #input: readonly Column[];
  readonly #written: readonly Written[];
  /** Key columns that are not written, but come back all the same. */
  readonly #checked: readonly { readonly column: Column; readonly source: number }[];

  constructor({ input, output, key, hidden }: Shape) {
    this.#input = input;
    const sourceOf = (name: string): number => input.findIndex((column) => column.name === name);
    this.#written = output.map((column) => {
      const { name } = column;
      const ofKey = key.find((one) => one.output === name);
      if (ofKey !== undefined) return { name, column, source: sourceOf(ofKey.input), from: 'key' };
      const source = sourceOf(name);
      if (hidden.includes(name)) return { name, column, source, from: 'hidden' };
      return isAlike(input[source]?.codec, column.codec)
        ? { name, column, source, from: 'read' }
        : { name, column, source: -1, from: 'module' };
    });
    this.#checked = key
      .filter((one) => one.output === null)
      .map((one) => sourceOf(one.input))
      .map((source) => ({ column: input[source] as Column, source }));
  }

  /**
   * @param index of the row among those of the block
   * @throws RowRefused
   */
  write(given: unknown, block: Block, index: number): string {
    if (typeof given !== 'object' || given === null) throw new RowRefused(null, 'is no object');
    const row = given as Row;
    const { values, starts, text } = block;
    const base = index * this.#input.length;
    for (const { column, source } of this.#checked)
      this.#checkKey(column, row[column.name], block, base + source);
    let line = '';
    // What was left alone is taken over in spans, from the beginning of one value to the end of another.
    let from = -1;
    let to = -1;
    for (let position = 0; position < this.#written.length; position += 1) {
      const written = this.#written[position] as Written;
      const { source } = written;
      const at = base + source;
      let printed: string | null = null;
      if (written.from !== 'hidden') {
        const value = row[written.name];
        if (written.from === 'key') this.#checkKey(written.column, value, block, at);
        else if (written.from === 'module' || !isSame(value, values[at]))
          printed = print(written, value, block, at);
      }
      if (printed === null) {
        const start = starts[at] as number;
        if (start !== to + 1 || from === -1) {
          if (from !== -1) line += text.slice(from, to);
          if (position > 0) line += '\t';
          from = start;
        }
        to = (starts[at + 1] as number) - 1;
      } else {
        if (from !== -1) line += text.slice(from, to);
        from = -1;
        if (position > 0) line += '\t';
        line += printed;
      }
    }
    if (from !== -1) line += text.slice(from, to);
    return `${line}\n`;
  }

  #checkKey(column: Column, value: unknown, block: Block, at: number): void {
    if (isSame(value, block.values[at])) return;
    const read = fieldOf(block, at);
    const { codec } = this.#input[at % this.#input.length] as Column;
    const same =
      read !== null &&
      value !== undefined &&
      value !== null &&
      samePrinted({ ...column, codec }, value, read);
    if (!same)
      throw new RowRefused(
        null,
        `has another key (column "${column.name}") than the row that was given in its place`,
      );
  }
}

/** What is an object may have been changed where it is. */
const isSame = (value: unknown, read: unknown): boolean =>
  Object.is(value, read) && (typeof value !== 'object' || value === null);

const isJson = ({ kind }: Codec): boolean => kind === 'json' || kind === 'jsonb';

/** Whether text of the one is text of the other, if the value is the same. */
function isAlike(one: Codec | undefined, other: Codec): boolean {
  if (one === undefined) return false;
  if (one.kind === 'integer' && other.kind === 'integer')
    return one.most <= other.most && one.least >= other.least;
  return one.kind === other.kind || (isJson(one) && isJson(other));
}

const fieldOf = ({ text, starts }: Block, at: number): string | null =>
  textOfField(text.slice(starts[at], (starts[at + 1] as number) - 1));

function samePrinted(column: Column, value: unknown, read: string): boolean {
  try {
    return printValue(column, value) === printValue(column, parseValue(column.codec, read));
  } catch (error) {
    if (error instanceof Unfit) return false;
    throw error;
  }
}

/** Null where the value is what was read. */
function print({ column, from, name }: Written, value: unknown, block: Block, at: number): string | null {
  if (value === null) return nullField;
  if (value === undefined) throw new RowRefused(name, 'is missing from the row; null is what makes a NULL');
  try {
    const printed = printValue(column, value);
    return from === 'read' && isCompound(column) && isLeftAlone(column, printed, fieldOf(block, at))
      ? null
      : escapeField(printed);
  } catch (error) {
    if (error instanceof Unfit) throw new RowRefused(name, error.message);
    throw error;
  }
}

const isCompound = ({ codec }: Column): boolean => isJson(codec) || codec.kind === 'array';

/**
 * Whether printed text says what was read, which JavaScript may print otherwise: the spaces of JSON, `1.10`, digits
 * beyond those that its numbers have, an array's lower bounds.
 */
function isLeftAlone(column: Column, printed: string, read: string | null): boolean {
  if (read === null) return false;
  if (printed === read) return true;
  if (column.codec.kind === 'jsonb' && !mayChange(read)) return false;
  if (printed === printValue(column, parseValue(column.codec, read))) return true;
  if (column.codec.kind !== 'array' && hasInexactNumber(read))
    throw new Unfit(
      'holds a number with more digits than JavaScript’s numbers have, so that changing another part would change it, too; leave the value alone, or change it with SQL',
    );
  return false;
}
