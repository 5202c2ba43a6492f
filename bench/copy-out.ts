import pg from 'pg';

/**
 * Reads all that a `COPY … TO STDOUT` sends, and drops it.
 * @returns bytes
 */
export async function copyOut(url: string, sql: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await new Promise((resolve, reject) => client.query(new CopyOut(sql, resolve, reject)));
  } finally {
    await client.end();
  }
}

/** What the driver calls with each message. */
class CopyOut {
  readonly #sql: string;
  readonly #done: (bytes: number) => void;
  readonly #failed: (error: Error) => void;
  #bytes = 0;

  constructor(sql: string, done: (bytes: number) => void, failed: (error: Error) => void) {
    this.#sql = sql;
    this.#done = done;
    this.#failed = failed;
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#sql);
  }

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    this.#bytes += chunk.length;
  }

  handleReadyForQuery(): void {
    this.#done(this.#bytes);
  }

  handleError(error: Error): void {
    this.#failed(error);
  }

  handleCommandComplete(): void {}
}
