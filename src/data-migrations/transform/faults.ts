/** What goes wrong with a batch, said with the batch's name and the rows that it is about. */
import { AppError } from '../../errors.ts';
import type { RowFault } from './request.ts';
import type { BlockFault } from './transform-block.ts';

/** The rows of one batch that are at fault. */
export class Faults {
  readonly #module: string;
  readonly #batch: string;
  readonly #tolerated: number;
  readonly list: RowFault[] = [];

  constructor(module: string, batch: string, tolerated: number) {
    this.#module = module;
    this.#batch = batch;
    this.#tolerated = tolerated;
  }

  /** How many more there may be. */
  get left(): number {
    return this.#tolerated - this.list.length;
  }

  /**
   * @param firstRow of the block, among the batch's rows
   * @throws AppError `TRANSFORM_FAILED`, `TRANSFORM_VALUE_REFUSED` when there are more than are tolerated
   */
  add(firstRow: number, found: readonly BlockFault[]): void {
    for (const fault of found) {
      const row = firstRow + fault.row;
      const error = this.#describe(row, fault);
      if (this.left <= 0) throw error;
      this.list.push({ row, key: fault.key, error: error.toRecord() });
    }
  }

  /** Key values are data: they stand in `details.detail`, which is shown to readers of the database and never logged. */
  #describe(row: number, { code, column, reason, key }: BlockFault): AppError {
    return new AppError(
      code,
      `The transform "${this.#module}" ${reason}: row ${row + 1} of ${this.#batch}. The row was not written. ` +
        'Mend the module or the row; rows at fault may also be tolerated.',
      {
        module: this.#module,
        batch: this.#batch,
        row,
        ...(column === null ? {} : { column }),
        detail: `Key: ${key.map((value) => value ?? 'NULL').join(', ')}`,
      },
    );
  }

  /** What ended a block, with the rows of that block. */
  ofBlock(error: Error, firstRow: number, count: number): Error {
    if (!(error instanceof AppError) || !error.code.startsWith('TRANSFORM_')) return error;
    return new AppError(
      error.code,
      `${error.message} It was at rows ${firstRow + 1} to ${firstRow + count} of ${this.#batch}, of which nothing was written.`,
      { ...error.details, batch: this.#batch, firstRow, rows: count },
      { cause: error },
    );
  }

  /** What PostgreSQL refused: COPY's context names the line, and the line the row. */
  ofWriting(error: Error): Error {
    if (!(error instanceof AppError)) return error;
    const { where } = error.details;
    const line = typeof where === 'string' ? /^COPY [\s\S]*?, line (\d+)/.exec(where)?.[1] : undefined;
    if (line === undefined) return error;
    let row = Number(line) - 1;
    for (const fault of this.list) if (fault.row <= row) row += 1;
    return new AppError(
      error.code,
      error.message,
      { ...error.details, batch: this.#batch, row },
      { cause: error },
    );
  }

  tooLarge(what: string, bytes: number): AppError {
    return new AppError(
      'BATCH_TOO_LARGE',
      `${what} of ${this.#batch} has ${bytes} bytes or more, which is more than is held in memory. Nothing of the batch was written.`,
      { module: this.#module, batch: this.#batch, bytes },
    );
  }
}
