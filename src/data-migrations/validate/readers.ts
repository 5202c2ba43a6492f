import { setTimeout as soon } from 'node:timers/promises';
import { openSession, type Session } from '../../db/session.ts';
import type { Target } from '../../db/target.ts';
import type { Mapping } from './request.ts';

/** One session for each side; the same one where both are in one database. */
export interface ReaderPair {
  readonly source: Session;
  readonly target: Session;
}

/**
 * What every session is set to. Texts have to be the same wherever they are made; limits that roles or databases have
 * for the application's statements are not for these; rows that a policy of row security would hide are an error.
 * What a version does not know is left out.
 */
const settings: Readonly<Record<string, string>> = {
  TimeZone: 'UTC',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  quote_all_identifiers: 'off',
  row_security: 'off',
  default_transaction_read_only: 'on',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  transaction_timeout: '0',
  // How much of the server is taken is for `parallelism` to say; compiling anew for every part costs more than it gains.
  max_parallel_workers_per_gather: '0',
  jit: 'off',
};

/** The sessions of a validation, and the snapshot that they share. */
export class Readers {
  readonly source: readonly Session[];
  readonly target: readonly Session[];
  readonly #signal: AbortSignal;
  readonly #cancel: () => void;
  #cancelling: Promise<unknown> = Promise.resolve();

  private constructor(source: readonly Session[], target: readonly Session[], signal: AbortSignal) {
    this.source = source;
    this.target = target;
    this.#signal = signal;
    this.#cancel = () => {
      // A session that is gone, or a server that takes no connection, has nothing to cancel.
      this.#cancelling = Promise.allSettled(this.#all.map((session) => session.cancel()));
    };
    signal.addEventListener('abort', this.#cancel, { once: true });
  }

  /**
   * @param count sessions for each database
   * @throws AppError `DATABASE_UNREACHABLE`, `PERMISSION_DENIED`; the signal's reason
   */
  static async open(
    { source, target }: Mapping,
    { applicationName, signal }: { readonly applicationName: string; readonly signal: AbortSignal },
    count: number,
  ): Promise<Readers> {
    signal.throwIfAborted();
    const opened: Session[] = [];
    const open = async (place: Target): Promise<Session[]> => {
      const sessions: Session[] = [];
      for (let n = 0; n < count; n += 1) {
        const session = await openSession(place, { applicationName, doing: 'comparing two tables' });
        opened.push(session);
        sessions.push(session);
        await prepareSession(session);
      }
      return sessions;
    };
    try {
      const ofSource = await open(source.target);
      const ofTarget = source.database === target.database ? ofSource : await open(target.target);
      return new Readers(ofSource, ofTarget, signal);
    } catch (error) {
      await Promise.all(opened.map((session) => session.close()));
      throw error;
    }
  }

  get pair(): ReaderPair {
    return { source: this.source[0] as Session, target: this.target[0] as Session };
  }

  /** Whether both sides are read in one snapshot: those of two databases are taken one right after the other. */
  get together(): boolean {
    return this.source === this.target;
  }

  get #all(): readonly Session[] {
    return this.together ? this.source : [...this.source, ...this.target];
  }

  /** Works in a new snapshot, read only, and lets go of it whatever happens. */
  async inSnapshot<T>(work: () => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    try {
      await Promise.all(this.together ? [begin(this.source)] : [begin(this.source), begin(this.target)]);
      return await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      throw error;
    } finally {
      // What goes wrong here hides no error of the work's.
      await Promise.allSettled(this.#all.map((session) => session.query('rollback')));
    }
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#cancel);
    await this.#cancelling;
    await Promise.all(this.#all.map((session) => session.close()));
  }
}

async function prepareSession(session: Session): Promise<void> {
  await session.query(
    `select pg_catalog.set_config(s.name, v.value, false)
       from json_each_text($1) v(name, value) join pg_catalog.pg_settings s on pg_catalog.lower(s.name) = pg_catalog.lower(v.name)`,
    [JSON.stringify(settings)],
  );
  // PostgreSQL looks into pg_catalog first where a search_path does not name it.
  await session.query('select pg_catalog.set_config($1, pg_catalog.quote_ident($2), false)', [
    'search_path',
    session.target.schema,
  ]);
}

/** The first session's snapshot becomes that of all. */
async function begin([first, ...others]: readonly Session[]): Promise<void> {
  if (first === undefined) return;
  // A snapshot is taken by the first statement, not by BEGIN.
  await first.query('begin isolation level repeatable read, read only; select 1');
  if (others.length === 0) return;
  const { rows } = await first.query<{ id: string }>('select pg_catalog.pg_export_snapshot() as id');
  for (const session of others)
    await session.query(
      `begin isolation level repeatable read, read only; set transaction snapshot '${rows[0]?.id ?? ''}'`,
    );
}

/** @throws the signal's reason */
export const pause = (ms: number, signal: AbortSignal): Promise<void> => soon(ms, undefined, { signal });
