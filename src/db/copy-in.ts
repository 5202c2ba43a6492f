import type { Connection, Submittable } from 'pg';

/** `COPY … FROM STDIN` as the driver runs queries: bytes go to the connection as they are, without a copy of them. */
export class CopyIn implements Submittable {
  readonly #sql: string;
  readonly #translate: (error: Error) => Error;
  readonly #ended: Promise<number>;
  #settle: (outcome: { rows: number } | { error: Error }) => void = () => undefined;
  #stream: Connection['stream'] | null = null;
  #start: () => void = () => undefined;
  #over = false;
  #rows = 0;

  /** `translate` makes an error of ours of one of the driver or the server. */
  constructor(sql: string, translate: (error: Error) => Error) {
    this.#sql = sql;
    this.#translate = translate;
    this.#ended = new Promise((resolve, reject) => {
      this.#settle = (outcome) => ('rows' in outcome ? resolve(outcome.rows) : reject(outcome.error));
    });
    // Whoever writes or finishes is told; nobody need do so.
    void Promise.allSettled([this.#ended]);
  }

  /** Fulfilled when the server takes data. */
  async started(): Promise<void> {
    await Promise.race([new Promise<void>((resolve) => (this.#start = resolve)), this.#ended]);
  }

  /**
   * Sends bytes, which need not be whole rows. Fulfilled when there is room for more.
   * @throws AppError what the server refused, which may be about bytes that were sent before
   */
  async write(bytes: Buffer): Promise<void> {
    if (this.#over || this.#stream === null) return void (await this.#ended);
    const stream = this.#stream;
    stream.cork();
    stream.write(header('d', bytes.length));
    const room = stream.write(bytes);
    stream.uncork();
    if (room) return;
    let drained = (): void => undefined;
    const drain = new Promise<void>((resolve) => {
      drained = resolve;
    });
    stream.once('drain', drained);
    try {
      await Promise.race([drain, this.#ended]);
    } finally {
      stream.off('drain', drained);
    }
  }

  /**
   * Ends it.
   * @returns rows
   * @throws AppError what the server refused
   */
  finish(): Promise<number> {
    if (!this.#over) this.#stream?.write(header('c', 0));
    return this.#ended;
  }

  /** Breaks it off; fulfilled when the server has done so. The transaction has failed with it. */
  async abandon(reason: string): Promise<void> {
    const text = Buffer.from(`${reason}\0`);
    if (!this.#over) this.#stream?.write(Buffer.concat([header('f', text.length), text]));
    await Promise.allSettled([this.#ended]);
  }

  submit(connection: Connection & { query(text: string): void }): void {
    this.#stream = connection.stream;
    connection.query(this.#sql);
  }

  handleCopyInResponse(): void {
    this.#start();
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#rows = Number(/^COPY (\d+)$/.exec(text)?.[1] ?? 0);
  }

  handleReadyForQuery(): void {
    this.#over = true;
    this.#settle({ rows: this.#rows });
  }

  /** What is sent after the server's error is dropped by it, as the protocol says. */
  handleError(error: Error): void {
    this.#over = true;
    this.#settle({ error: this.#translate(error) });
  }
}

/** A message's letter and its length, which counts itself but not the letter. */
function header(kind: string, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(5);
  bytes.write(kind, 0, 'latin1');
  bytes.writeInt32BE(length + 4, 1);
  return bytes;
}
