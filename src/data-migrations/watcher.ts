/** Reads the signals of one database, each at its own pace, over one session. */
import { openSession, type Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { type Load, type Look, NotWatched, ownMark, type Signal, type SignalPlace } from './define-signal.ts';
import type { ThrottleEvent, WatchedDatabase } from './throttle.ts';

/** A load with the signal and the database that it is of. */
export interface NamedLoad extends Load {
  readonly signal: string;
  readonly database: string;
}

/** What can hang (a server out of memory, a metric's URL) must not hold a data migration for longer. */
const statementTimeoutMs = 5_000;
/** A server that is gone without a word answers nothing at all. */
const answerWithinMs = 15_000;
/** A right may be granted, an extension made while a data migration runs for days. */
const lookAgainMs = 30_000;

interface Watched {
  readonly signal: Signal;
  look: Look;
  /** Not before this moment. */
  due: number;
  loads: readonly NamedLoad[];
  /** Why it is not watched, once that was told. */
  told: string | null;
}

export interface WatcherOptions {
  readonly database: WatchedDatabase;
  readonly signals: readonly Signal[];
  readonly applicationName: string;
  readonly tell: (event: ThrottleEvent) => void;
  readonly now: () => number;
}

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #watched: readonly Watched[];
  #session: Session | null = null;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#watched = options.signals.map((signal) => ({
      signal,
      look: signal.watch(),
      due: Number.NEGATIVE_INFINITY,
      loads: [],
      told: null,
    }));
  }

  /**
   * The loads of now, or of the last look where the next is not due yet.
   * @throws AppError `DATABASE_UNREACHABLE`, `PERMISSION_DENIED` when there is no way in
   */
  async loads(): Promise<readonly NamedLoad[]> {
    const session = await this.#connect();
    const place: SignalPlace = {
      query: (sql, values) => session.query(`${sql} ${ownMark}`, values),
      applicationName: this.#options.applicationName,
      now: this.#options.now,
    };
    try {
      for (const watched of this.#watched) await this.#look(watched, place);
    } catch (error) {
      // What a session that was lost still had to say would come as the answer to the next question.
      closeUnheard(session);
      this.#session = null;
      throw error;
    }
    return this.#watched.flatMap(({ loads }) => loads);
  }

  async close(): Promise<void> {
    await this.#session?.close();
  }

  async #look(watched: Watched, place: SignalPlace): Promise<void> {
    const { database, now } = this.#options;
    const limits = database.limits();
    const { signal } = watched;
    if (!signal.isOn(limits)) {
      // Should it be switched on again, it begins anew: what it remembers would be out of date.
      Object.assign(watched, { look: signal.watch(), loads: [], told: null, due: Number.NEGATIVE_INFINITY });
      return;
    }
    if (now() < watched.due) return;
    watched.due = now() + signal.everyMs;
    try {
      const loads = await watched.look(place, limits);
      watched.loads = loads.map((load) => ({ ...load, signal: signal.name, database: database.name }));
      watched.told = null;
    } catch (error) {
      this.#notWatched(watched, reasonOf(error));
    }
  }

  #notWatched(watched: Watched, why: string): void {
    const { database, now, tell } = this.#options;
    watched.loads = [];
    watched.due = now() + lookAgainMs;
    if (watched.told === why) return;
    watched.told = why;
    tell({
      type: 'throttle-not-watched',
      message: `Not watched: ${watched.signal.name} of ${database.name}: ${why}.`,
      data: { signal: watched.signal.name, database: database.name, reason: why },
    });
  }

  async #connect(): Promise<Session> {
    if (this.#session?.alive) return this.#session;
    const { target } = this.#options.database;
    const clientConfig = { ...target.clientConfig, query_timeout: answerWithinMs };
    const session = await openSession(
      { ...target, clientConfig },
      {
        applicationName: 'switchback:throttle',
        doing: "looking at the database's load",
      },
    );
    try {
      await session.query(
        `set search_path = pg_catalog; set statement_timeout = ${statementTimeoutMs}; set default_transaction_read_only = on`,
      );
    } catch (error) {
      closeUnheard(session);
      throw error;
    }
    this.#session = session;
    return session;
  }
}

/** Does not wait: a server that hangs would keep us. */
function closeUnheard(session: Session): void {
  session.close().then(undefined, () => undefined);
}

/** @throws what is no matter of one signal: an outage, a fault of ours */
function reasonOf(error: unknown): string {
  if (error instanceof NotWatched) return error.message;
  if (!(error instanceof AppError) || error.code === 'DATABASE_UNREACHABLE') throw error;
  const { reason } = error.details;
  if (error.category !== 'internal') return typeof reason === 'string' ? reason : error.message;
  throw error;
}
