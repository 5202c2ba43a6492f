import type { DatabaseConfig } from '../config.ts';
import type { Session } from '../db/session.ts';

/** The limits of one database: `policy.throttle`. A null limit is not watched. */
export type ThrottleLimits = DatabaseConfig['policy']['throttle'];

/**
 * Stands in every statement that Switchback runs in a database while it watches it: PostgreSQL's statistics keep texts
 * with their comments, and what is ours is none of the application's latency.
 */
export const ownMark = '/* switchback */';

/** How heavily something is loaded. */
export interface Load {
  /** Share of its limit: 1 is the limit. */
  readonly level: number;
  /** In plain words, with the numbers: `standby orders-2 is 14 s behind, limit 10 s`. */
  readonly says: string;
}

export interface SignalPlace {
  /** Asks the database, in a session with a short `statement_timeout` that the signals use one after the other. */
  readonly query: Session['query'];
  /** `application_name` of the data migration's sessions; some of them have more after a colon. */
  readonly applicationName: string;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

/** Looks once. What it compares with its last look it remembers by itself; its first look may know nothing yet. */
export type Look = (place: SignalPlace, limits: ThrottleLimits) => Promise<readonly Load[]>;

/**
 * Something that tells whether a database has strength to spare. To add one: a file in `signals/`, a line in
 * `signals/index.ts`, its limit in `src/throttle-config.ts`.
 */
export interface Signal {
  readonly name: string;
  readonly summary: string;
  /** Pause between two looks; nothing is looked at more often than once a second. */
  readonly everyMs: number;
  isOn(limits: ThrottleLimits): boolean;
  /** Begins to watch one database. What `Look` throws makes the signal one that is not watched, but for outages. */
  watch(): Look;
}

export const defineSignal = (signal: Signal): Signal => Object.freeze(signal);

/** Why a signal cannot be read: a right or an extension that is missing. Never taken to mean that all is well. */
export class NotWatched extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'NotWatched';
  }
}
