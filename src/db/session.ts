import pg from 'pg';
import { AppError } from '../errors.ts';
import { CopyIn } from './copy-in.ts';
import { CopyOut, type CopyOutcome, type CopySink } from './copy-out.ts';
import { fromPostgres } from './errors.ts';
import { type Prepared, prepare } from './own-settings.ts';
import type { Target } from './target.ts';

export interface SessionOptions {
  /** Shown in `pg_stat_activity`; by it a successor finds what a killed worker left running. At most 63 bytes. */
  readonly applicationName: string;
  /** For error messages: `while <doing>`. */
  readonly doing?: string;
  readonly connectTimeoutMs?: number;
}

export interface QueryOutcome<Row> {
  readonly rows: Row[];
  readonly rowCount: number;
  readonly command: string;
  /** Of the rows; a domain's type is the one that it is made of. */
  readonly fields: readonly { readonly name: string; readonly type: number; readonly modifier: number }[];
}

export interface Notice {
  readonly severity: string;
  readonly message: string;
  readonly sqlstate: string;
}

/** One connection that is ours from begin to end: what locks and settings it holds stay until `close`. */
export class Session {
  readonly target: Target;
  readonly pid: number;
  /** SQL that sets again what a `RESET ALL` takes back of our own settings. */
  readonly ownSettings: string;
  readonly #client: pg.Client;
  readonly #doing: string;
  #alive = true;

  constructor(target: Target, client: pg.Client, prepared: Prepared, doing: string) {
    this.target = target;
    this.ownSettings = prepared.ownSettings;
    this.pid = prepared.pid;
    this.#client = client;
    this.#doing = doing;
    client.on('error', () => {
      this.#alive = false;
    });
    client.on('end', () => {
      this.#alive = false;
    });
  }

  /** False once the connection is known to be gone. */
  get alive(): boolean {
    return this.#alive;
  }

  /**
   * Runs one statement with parameters, or without parameters any text as one simple query.
   * Of a text of several statements the last one's outcome is returned; `script` returns all.
   * @throws AppError by SQLSTATE, see `fromPostgres`
   */
  async query<Row extends object = Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
  ): Promise<QueryOutcome<Row>> {
    const outcomes = await this.#send<Row>(sql, values);
    return outcomes.at(-1) ?? { rows: [], rowCount: 0, command: '', fields: [] };
  }

  /** Runs a text of several statements as one simple query; one outcome for each. `completed` is called after each. */
  async script<Row extends object = Record<string, unknown>>(
    sql: string,
    completed: () => void = () => undefined,
  ): Promise<QueryOutcome<Row>[]> {
    const { connection } = this.#client;
    connection.on('commandComplete', completed);
    try {
      return await this.#send(sql);
    } finally {
      connection.off('commandComplete', completed);
    }
  }

  async #send<Row extends object>(sql: string, values?: readonly unknown[]): Promise<QueryOutcome<Row>[]> {
    try {
      const answer: pg.QueryResult<Row> | pg.QueryResult<Row>[] = await this.#client.query<Row>(
        sql,
        values?.slice(),
      );
      // Of a text of several statements the driver gives a list, which its types do not know.
      const results: pg.QueryResult<Row>[] = Array.isArray(answer) ? answer : [answer];
      return results.map(({ rows, rowCount, command, fields }) => ({
        rows,
        rowCount: rowCount ?? 0,
        command,
        fields: fields.map((field) => ({
          name: field.name,
          type: field.dataTypeID,
          modifier: field.dataTypeModifier,
        })),
      }));
    } catch (error) {
      throw this.#translate(error);
    }
  }

  /**
   * Runs `COPY … TO STDOUT`. A sink that throws, or whose promise is rejected, is called no more; the rest is read and
   * dropped, and then its error is thrown.
   * @throws AppError by SQLSTATE, and whatever the sink throws
   */
  async copyOut(sql: string, sink: CopySink): Promise<void> {
    const { error, refused } = await new Promise<CopyOutcome>((resolve) => {
      this.#client.query(new CopyOut(sql, sink, resolve));
    });
    if (refused !== undefined) throw refused;
    if (error !== undefined) throw this.#translate(error);
  }

  /**
   * Begins `COPY … FROM STDIN`; the session is free again after `finish` or `abandon`.
   * @throws AppError by SQLSTATE
   */
  async copyIn(sql: string): Promise<CopyIn> {
    const copy = new CopyIn(sql, (error) => this.#translate(error));
    this.#client.query(copy);
    await copy.started();
    return copy;
  }

  #translate(error: unknown): AppError {
    return fromPostgres(error, { doing: this.#doing, database: this.target.display });
  }

  /** Calls the listener with each notice and warning, until the returned function is called. */
  onNotice(listener: (notice: Notice) => void): () => void {
    const relay = (notice: { severity?: string; message?: string; code?: string }): void =>
      listener({
        severity: notice.severity ?? 'NOTICE',
        message: notice.message ?? '',
        sqlstate: notice.code ?? '',
      });
    this.#client.on('notice', relay);
    return () => this.#client.off('notice', relay);
  }

  onNotification(listener: (notification: { channel: string; payload: string }) => void): void {
    this.#client.on('notification', ({ channel, payload }) => listener({ channel, payload: payload ?? '' }));
  }

  /** Settles when the connection is gone, whoever ended it. */
  whenLost(): Promise<void> {
    return this.#alive
      ? new Promise((resolve) => this.#client.once('end', () => resolve()))
      : Promise.resolve();
  }

  /** Asks the server to end the statement that this session is running, from a second connection. */
  async cancel(): Promise<void> {
    await withSession(
      this.target,
      { applicationName: 'switchback:cancel', doing: 'cancelling a statement' },
      (other) => other.query('select pg_catalog.pg_cancel_backend($1)', [this.pid]),
    );
  }

  async close(): Promise<void> {
    this.#alive = false;
    await this.#client.end();
  }
}

/**
 * Opens a session.
 * @throws AppError `DATABASE_UNREACHABLE`, `PERMISSION_DENIED`
 */
export async function openSession(target: Target, options: SessionOptions): Promise<Session> {
  const doing = options.doing ?? 'working';
  try {
    const client = await connect(target, options);
    try {
      return new Session(target, client, await prepare(client), doing);
    } catch (error) {
      await client.end();
      throw error;
    }
  } catch (error) {
    throw fromPostgres(error, { doing: 'connecting', database: target.display });
  }
}

/** Opens a session, works with it, closes it. */
export async function withSession<T>(
  target: Target,
  options: SessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(target, options);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

async function connect(target: Target, options: SessionOptions): Promise<pg.Client> {
  const config: pg.ClientConfig = { ...target.clientConfig, application_name: options.applicationName };
  if (options.connectTimeoutMs !== undefined) config.connectionTimeoutMillis = options.connectTimeoutMs;
  try {
    return await connectOnce(config);
  } catch (error) {
    const refused = error instanceof Error && error.message === 'The server does not support SSL connections';
    if (!refused || !target.plaintextFallback) throw error;
    const { connectionString: _, ...plain } = config;
    return await connectOnce({ ...plain, ssl: false });
  }
}

async function connectOnce(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  // Without a listener a connection that breaks before `Session` listens would end the process.
  client.on('error', () => {});
  await client.connect();
  return client;
}

/**
 * Refuses a URL that says that it leads to a transaction pooler.
 * @throws AppError `DATABASE_POOLED`
 */
export function refusePoolerUrl(target: Target): void {
  if (target.pooled) throw pooled(target, 'its URL says pgbouncer=true');
}

/**
 * Refuses sessions of a transaction pooler: there, session locks and settings belong to whoever comes next.
 * A pooler gives its own process number at connection start; whether it pools by transaction shows when a second
 * client takes the server connection which the first has just let go.
 * @throws AppError `DATABASE_POOLED`
 */
export async function refusePooler(first: Session, second: Session): Promise<void> {
  const before = await backendPid(first);
  await second.query('begin');
  const other = await backendPid(second);
  const after = await backendPid(first);
  await second.query('rollback');
  if (before === other || before !== after)
    throw pooled(first.target, "the backend's process number changes between two statements");
}

async function backendPid(session: Session): Promise<number> {
  const { rows } = await session.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
  return rows[0]?.pid ?? 0;
}

const pooled = (target: Target, evidence: string): AppError =>
  new AppError(
    'DATABASE_POOLED',
    `The URL of ${target.display} leads to a transaction pooler: ${evidence}. Nothing was done. ` +
      "Give the database's direct URL instead, the one that Prisma's schema calls directUrl.",
    { evidence },
  );
