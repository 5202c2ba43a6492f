import type { Connection, Submittable } from 'pg';

/** Messages that a COPY TO STDOUT consists of; each is a letter and a length of four bytes, which counts itself. */
const copyData = 0x64; // d
const copyDone = 0x63; // c
const copyOutResponse = 0x48; // H
const readyForQuery = 0x5a; // Z
const headerBytes = 5;

/** Takes what was sent: whole messages, which in text format are whole rows. Until its promise nothing more is read. */
export type CopySink = (bytes: Buffer, messages: number) => Promise<void> | void;

/** How it ended: what the driver or the server said, and what the sink threw. */
export interface CopyOutcome {
  readonly error?: Error;
  readonly refused?: Error;
}

type Listener = (bytes: Buffer) => void;

/**
 * `COPY … TO STDOUT` as the driver runs queries.
 *
 * It reads the connection itself until the statement has ended: the driver makes an object and an event of each row,
 * which costs more than all else. What is no row goes to the driver, message by message.
 */
export class CopyOut implements Submittable {
  readonly #sql: string;
  readonly #sink: CopySink;
  readonly #settle: (outcome: CopyOutcome) => void;
  #stream: Connection['stream'] | null = null;
  #driver: Listener[] = [];
  /** The beginning of a message whose end is still to come, in the pieces in which it came. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #wantedBytes = headerBytes;
  #refused: Error | undefined;

  /** `settle` is called once. */
  constructor(sql: string, sink: CopySink, settle: (outcome: CopyOutcome) => void) {
    this.#sql = sql;
    this.#sink = sink;
    this.#settle = settle;
  }

  submit(connection: Connection): void {
    this.#stream = connection.stream;
    this.#driver = connection.stream.listeners('data') as Listener[];
    for (const listener of this.#driver) connection.stream.off('data', listener);
    connection.stream.on('data', this.#receive);
    connection.query(this.#sql);
  }

  handleReadyForQuery(): void {
    this.#settle(this.#refused === undefined ? {} : { refused: this.#refused });
  }

  /** Of the server, which says next that it is ready; or of the connection, which is gone. */
  handleError(error: Error): void {
    this.#settle({ error });
  }

  handleCommandComplete(): void {}

  readonly #receive = (chunk: Buffer): void => {
    const bytes = this.#complete(chunk);
    if (bytes === null) return;
    let from = 0;
    let kept = 0;
    let rows = 0;
    while (bytes.length - from >= headerBytes) {
      const end = from + 1 + bytes.readInt32BE(from + 1);
      if (end > bytes.length) break;
      const kind = bytes[from];
      if (kind === copyData) {
        // Rows move together, over the headers between them.
        bytes.copyWithin(kept, from + headerBytes, end);
        kept += end - from - headerBytes;
        rows += 1;
      } else if (kind === readyForQuery) {
        this.#deliver(bytes.subarray(0, kept), rows);
        this.#giveBack(bytes.subarray(from));
        return;
      } else if (kind !== copyDone && kind !== copyOutResponse) this.#tellDriver(bytes.subarray(from, end));
      from = end;
    }
    this.#keep(bytes.subarray(from));
    this.#deliver(bytes.subarray(0, kept), rows);
  };

  /** What was begun with what has come now; null as long as no message is whole. */
  #complete(chunk: Buffer): Buffer | null {
    if (this.#begunBytes === 0) return chunk;
    this.#begun.push(chunk);
    this.#begunBytes += chunk.length;
    if (this.#begunBytes < this.#wantedBytes) return null;
    const bytes = Buffer.concat(this.#begun);
    this.#begun = [];
    this.#begunBytes = 0;
    return bytes;
  }

  #keep(rest: Buffer): void {
    this.#begun = rest.length === 0 ? [] : [Buffer.from(rest)];
    this.#begunBytes = rest.length;
    this.#wantedBytes = rest.length < headerBytes ? headerBytes : 1 + rest.readInt32BE(1);
  }

  #deliver(bytes: Buffer, rows: number): void {
    if (rows === 0 || this.#refused !== undefined) return;
    try {
      const taken = this.#sink(bytes, rows);
      if (taken === undefined) return;
      this.#stream?.pause();
      taken.catch((error: Error) => this.#refuse(error)).finally(() => this.#stream?.resume());
    } catch (error) {
      this.#refuse(error as Error);
    }
  }

  /** What still comes is read and dropped: the session stays of use. */
  #refuse(error: Error): void {
    this.#refused ??= error;
  }

  /** A copy, since the driver's parser keeps what it is given. */
  #tellDriver(message: Buffer): void {
    for (const listener of this.#driver) listener(Buffer.from(message));
  }

  #giveBack(rest: Buffer): void {
    this.#stream?.off('data', this.#receive);
    for (const listener of this.#driver) this.#stream?.on('data', listener);
    this.#tellDriver(rest);
  }
}
