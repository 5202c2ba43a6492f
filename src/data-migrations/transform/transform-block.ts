/** One block of rows through the module: text in, text out, and the rows at fault. No threads here. */
import type { ErrorCode } from '../../errors.ts';
import { textOfField } from './copy-text.ts';
import { type Block, type Row, RowReader } from './read-rows.ts';
import type { Shape } from './request.ts';
import { RowRefused, RowWriter } from './write-rows.ts';

/** A module's default export. */
export type Transform = (rows: Row[], context: Readonly<Record<string, unknown>>) => unknown;

/** A row at fault; plain data, which crosses the thread's border. */
export interface BlockFault {
  /** Position among the block's rows. */
  readonly row: number;
  readonly key: readonly (string | null)[];
  readonly code: ErrorCode;
  readonly column: string | null;
  /** What is wrong with it: a half sentence. */
  readonly reason: string;
}

export interface TransformedBlock {
  /** For COPY FROM. */
  readonly text: string;
  readonly written: number;
  readonly faults: readonly BlockFault[];
  readonly lastKey: readonly (string | null)[];
}

export class BlockTransform {
  readonly #reader: RowReader;
  readonly #writer: RowWriter;
  readonly #key: readonly number[];
  readonly #columns: number;
  readonly #transform: Transform;
  readonly #context: Readonly<Record<string, unknown>>;

  constructor(shape: Shape, transform: Transform, context: Readonly<Record<string, unknown>>) {
    this.#reader = new RowReader(shape.input, shape.hidden);
    this.#writer = new RowWriter(shape);
    this.#key = shape.key.map((one) => shape.input.findIndex(({ name }) => name === one.input));
    this.#columns = shape.input.length;
    this.#transform = transform;
    this.#context = context;
  }

  /** @param tolerated once more faults than these are found, the rest of the block is left */
  async run(text: string, count: number, tolerated: number): Promise<TransformedBlock> {
    const block = this.#reader.read(text, 0, count);
    const done = { text: '', written: 0, faults: [] as BlockFault[] };
    const parts: { block: Block; first: number }[] = [{ block, first: 0 }];
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      if (done.faults.length > tolerated) break;
      const outcome = await this.#call(part.block);
      if ('rows' in outcome) this.#write(part, outcome.rows, done);
      else if (part.block.count === 1)
        done.faults.push(this.#fault(part, 0, 'TRANSFORM_FAILED', null, outcome.reason));
      else parts.push(...this.#halves(part));
    }
    return { ...done, lastKey: this.#keyOf(block, count - 1) };
  }

  /** What the module throws for many rows is found among them by halving: the rows are read anew for each call. */
  #halves({ block, first }: { block: Block; first: number }): { block: Block; first: number }[] {
    const half = block.count >> 1;
    const read = (from: number, count: number) => ({
      block: this.#reader.read(block.text, block.starts[from * this.#columns] as number, count),
      first: first + from,
    });
    // The last is taken first.
    return [read(half, block.count - half), read(0, half)];
  }

  async #call(block: Block): Promise<{ rows: readonly unknown[] } | { reason: string }> {
    let rows: unknown;
    try {
      rows = await this.#transform(this.#reader.rows(block), this.#context);
    } catch (error) {
      return { reason: `threw ${described(error)}` };
    }
    if (!Array.isArray(rows)) return { reason: 'returned no array of rows' };
    if (rows.length !== block.count)
      return { reason: `returned ${count(rows.length)} for ${count(block.count)}` };
    return { rows };
  }

  #write(
    part: { block: Block; first: number },
    rows: readonly unknown[],
    done: { text: string; written: number; faults: BlockFault[] },
  ): void {
    let text = '';
    for (let index = 0; index < rows.length; index += 1) {
      try {
        text += this.#writer.write(rows[index], part.block, index);
        done.written += 1;
      } catch (error) {
        if (!(error instanceof RowRefused)) throw error;
        const { column, message } = error;
        const [code, reason]: [ErrorCode, string] =
          column === null
            ? ['TRANSFORM_FAILED', `returned a row that ${message}`]
            : ['TRANSFORM_VALUE_REFUSED', `returned a row whose column "${column}" ${message}`];
        done.faults.push(this.#fault(part, index, code, column, reason));
      }
    }
    done.text += text;
  }

  #fault(
    { block, first }: { block: Block; first: number },
    index: number,
    code: ErrorCode,
    column: string | null,
    reason: string,
  ): BlockFault {
    return { row: first + index, key: this.#keyOf(block, index), code, column, reason };
  }

  #keyOf({ text, starts }: Block, row: number): (string | null)[] {
    return this.#key.map((column) => {
      const at = row * this.#columns + column;
      return textOfField(text.slice(starts[at], (starts[at + 1] as number) - 1));
    });
  }
}

const count = (rows: number): string => `${rows} ${rows === 1 ? 'row' : 'rows'}`;

/** The first line; a module's message may be as long as it likes. */
function described(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return (text.split('\n', 1)[0] ?? '').slice(0, 300);
}
