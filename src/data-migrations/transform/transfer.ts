/** One batch: out of the source, through the threads, into the target, block by block. */
import type { CopyIn } from '../../db/copy-in.ts';
import { Faults } from './faults.ts';
import type { TransformBatch, TransformOutcome } from './request.ts';
import type { Done } from './thread.ts';
import type { Threads } from './threads.ts';

/** What a call of the module is given, about: more take longer to find the first fault, fewer cost more calls. */
const blockBytes = 256 * 1_024;
/** Of one row, and of a batch all of which is read before it is written. */
const mostBytes = 64 * 1_024 * 1_024;

export class Transfer {
  readonly #batch: TransformBatch;
  readonly #threads: Threads;
  readonly #faults: Faults;
  /** One session cannot read and write at once. */
  readonly #together: boolean;
  /** Rows of the block that is being filled. */
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #pieceRows = 0;
  /** Blocks that were not written yet, in the order in which they were read. */
  #unwritten = 0;
  #writing: Promise<void> = Promise.resolve();
  #copy: Promise<CopyIn> | null = null;
  #makeRoom: () => void = () => undefined;
  #failure: Error | null = null;
  #read = 0;
  #bytesRead = 0;
  #bytesWritten = 0;
  #lastKey: readonly (string | null)[] | null = null;

  constructor(module: string, batch: TransformBatch, threads: Threads) {
    this.#batch = batch;
    this.#threads = threads;
    this.#faults = new Faults(module, batch.name, batch.tolerated);
    this.#together = batch.source === batch.target;
  }

  async run(): Promise<TransformOutcome> {
    const { source, target, read, write } = this.#batch;
    const reading = source.copyOut(read, (rows, count) => this.#take(rows, count));
    this.#copy = (this.#together ? reading : Promise.resolve()).then(() => target.copyIn(write));
    this.#writing = this.#copy.then(
      () => undefined,
      (error: Error) => this.#fail(error),
    );
    await reading.then(() => this.#send()).catch((error: Error) => this.#fail(error));
    await this.#writing;
    const [opened] = await Promise.allSettled([this.#copy]);
    const copy = opened.status === 'fulfilled' ? opened.value : null;
    if (this.#failure !== null) {
      await copy?.abandon('the rows that were to follow cannot be had');
      throw this.#failure;
    }
    return {
      written: (await copy?.finish().catch((error: Error) => this.#refused(error))) ?? 0,
      read: this.#read,
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
      lastKey: this.#lastKey,
      faults: this.#faults.list,
    };
  }

  /** Rows as they come. The promise is fulfilled when there is room for more. */
  #take(rows: Buffer, count: number): Promise<void> | undefined {
    if (this.#failure !== null) throw this.#failure;
    this.#batch.signal.throwIfAborted();
    this.#bytesRead += rows.length;
    if (rows.length > mostBytes) throw this.#faults.tooLarge('A row', mostBytes);
    if (this.#together && this.#bytesRead > mostBytes) throw this.#faults.tooLarge('All', mostBytes);
    this.#pieces.push(rows);
    this.#pieceBytes += rows.length;
    this.#pieceRows += count;
    if (this.#pieceBytes < blockBytes) return undefined;
    this.#send();
    if (this.#together || this.#unwritten < this.#threads.size + 2) return undefined;
    return new Promise((resolve) => {
      this.#makeRoom = resolve;
    });
  }

  /** The block that is filled goes to a thread, and then to the target after those before it. */
  #send(): void {
    const [count, bytes, firstRow] = [this.#pieceRows, this.#pieceBytes, this.#read];
    if (count === 0) return;
    // Only memory of its own can be handed to a thread.
    const block = Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    for (const piece of this.#pieces) at += piece.copy(block, at);
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#pieceRows = 0;
    this.#read += count;
    this.#unwritten += 1;
    const done = this.#threads.perform({ rows: block.buffer, bytes, count, tolerated: this.#faults.left });
    done.catch((error: Error) => this.#fail(this.#faults.ofBlock(error, firstRow, count)));
    this.#writing = this.#writing
      .then(() => this.#write(firstRow, done))
      .catch((error: Error) => this.#fail(error));
  }

  async #write(firstRow: number, block: Promise<Done>): Promise<void> {
    if (this.#failure !== null || this.#copy === null) return;
    const { rows, bytes, faults, lastKey } = await block;
    this.#faults.add(firstRow, faults);
    this.#lastKey = lastKey;
    this.#bytesWritten += bytes;
    const copy = await this.#copy;
    await copy.write(Buffer.from(rows, 0, bytes)).catch((error: Error) => this.#refused(error));
    this.#unwritten -= 1;
    this.#makeRoom();
  }

  #refused(error: Error): never {
    throw this.#faults.ofWriting(error);
  }

  /** The first that goes wrong; what is still read is dropped. */
  #fail(error: Error): void {
    this.#failure ??= error;
    this.#makeRoom();
  }
}
