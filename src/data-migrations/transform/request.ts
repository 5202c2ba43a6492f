import type { Session } from '../../db/session.ts';
import type { ErrorRecord } from '../../errors.ts';
import type { Column } from './columns.ts';
import type { TransformModule } from './find-module.ts';

/** Which columns go into a transform, and which come out of it. */
export interface Shape {
  /** What is read, in the order of the SELECT list; the names are the properties of the rows. */
  readonly input: readonly Column[];
  /** What is written, in the order of COPY's list of columns; each row that comes back has these properties. */
  readonly output: readonly Column[];
  /**
   * The columns by which rows are told apart. They come back unchanged: under `output`, in which they are then written
   * as they were read; under `input` where they are not written (`output` is null).
   */
  readonly key: readonly { readonly input: string; readonly output: string | null }[];
  /** Columns that the module does not see: they are written as they were read (`xmin`, to tell who changed meanwhile). */
  readonly hidden: readonly string[];
}

export interface TransformLimits {
  /** Threads, in which the module runs at once. */
  readonly threads: number;
  /** Of one thread. */
  readonly memoryMb: number;
  /** For one call of the module. */
  readonly callMs: number;
}

export interface TransformerOptions {
  readonly module: TransformModule;
  readonly shape: Shape;
  /** What the module is given as its second argument; plain data. */
  readonly context: Readonly<Record<string, unknown>>;
  readonly limits?: Partial<TransformLimits>;
}

/**
 * Into which table a batch goes decides what is exact about it:
 * - a copy goes straight into its table where no row can be in the way, else into a temporary one, from which
 *   `INSERT … SELECT … ON CONFLICT` takes it in the same transaction;
 * - a change in place goes into a temporary table, from which an `UPDATE` takes it. The rows need no lock while the module
 *   has them: with `xmin` among the hidden columns, and `WHERE item.xmin::text = changed.version` in the UPDATE, a row that
 *   somebody changed meanwhile is left, and read again. Should that never end, one session reads `FOR UPDATE` and writes.
 */
export interface TransformBatch {
  /** For messages: `batch 17 of range 3`. */
  readonly name: string;
  readonly source: Session;
  /** `COPY (SELECT …) TO STDOUT`, in text format; the list is `Shape.input`. */
  readonly read: string;
  /**
   * In a transaction, which the caller ends; `prepareTransfer` has run. May be the source session itself: then all rows
   * are read before the first is written, and `BATCH_TOO_LARGE` says that they are too many bytes for that.
   */
  readonly target: Session;
  /** `COPY … FROM STDIN`, in text format; the list is `Shape.output`. */
  readonly write: string;
  /** Rows at fault that are left out and listed; one more throws. 0 throws at the first. */
  readonly tolerated: number;
  readonly signal: AbortSignal;
}

/** A row that was not written, since the module or what it returned for it is at fault. */
export interface RowFault {
  /** Position among the rows that were read, from 0. */
  readonly row: number;
  /** Its key's values as PostgreSQL prints them, in the order of `Shape.key`. */
  readonly key: readonly (string | null)[];
  readonly error: ErrorRecord;
}

export interface TransformOutcome {
  readonly read: number;
  readonly written: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Key of the last row that was read, as PostgreSQL prints it; null when there was none. */
  readonly lastKey: readonly (string | null)[] | null;
  readonly faults: readonly RowFault[];
}

export interface Transformer {
  /**
   * Takes one batch of rows through the module. Several batches may run at once; their rows share the threads.
   * When it throws, the target's transaction has failed and is to be rolled back; both sessions are of further use.
   * @throws AppError `TRANSFORM_FAILED`, `TRANSFORM_VALUE_REFUSED`, `TRANSFORM_TIMEOUT`, `TRANSFORM_OUT_OF_MEMORY`,
   * `BATCH_TOO_LARGE`: `details.row` (from 0) or `details.firstRow` and `details.rows` say which rows it was about, where
   * that is known. By SQLSTATE what PostgreSQL refused, with `details.row` where it named one. The signal's reason.
   */
  run(batch: TransformBatch): Promise<TransformOutcome>;
  /** Ends the threads; what still runs fails. */
  close(): Promise<void>;
}
