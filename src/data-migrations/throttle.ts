/** Decides, from the signals of the databases at hand, whether a data migration goes on, and how fast. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Target } from '../db/target.ts';
import type { Signal, ThrottleLimits } from './define-signal.ts';
import { signals as allSignals } from './signals/index.ts';
import { type NamedLoad, Watcher } from './watcher.ts';

/** The answer to: may the next batch begin? */
export interface Admission {
  /** False: begin no batch; ask again after `againInMs`. */
  readonly goOn: boolean;
  /** Why it pauses or goes slower, with the numbers; null at full speed. */
  readonly reason: string | null;
  /** Share of the batch size and the parallelism that may be used: 1 is full speed, 0 a pause. */
  readonly factor: number;
  readonly againInMs: number;
}

/** Something that a reader of the data migration's events wants to know. */
export interface ThrottleEvent {
  readonly type: 'throttle-paused' | 'throttle-resumed' | 'throttle-slowed' | 'throttle-not-watched';
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface WatchedDatabase {
  readonly name: string;
  readonly target: Target;
  /** Asked at every look, so that limits can be changed while it runs. */
  readonly limits: () => ThrottleLimits;
}

export interface ThrottleOptions {
  /** The databases that are read and written. */
  readonly databases: readonly WatchedDatabase[];
  /** `application_name` of the data migration's sessions: itself, or what follows it after a colon. */
  readonly applicationName: string;
  readonly tell: (event: ThrottleEvent) => void;
  readonly signals?: readonly Signal[];
  readonly now?: () => number;
}

export interface Throttle {
  /**
   * Whether the next batch may begin. Asked by any number of ranges at once; the signals are read once a second at most.
   * @throws AppError `DATABASE_UNREACHABLE`, `PERMISSION_DENIED` when a database cannot be asked at all
   */
  admit(): Promise<Admission>;
  close(): Promise<void>;
}

/** From here on batches shrink. */
const slowFrom = 0.75;
/** Beyond 1 batches pause, and go on when every load is below this, so that they do not flutter at the limit. */
const goOnBelow = 0.9;
/** What is left of the full size just before a pause. */
const leastFactor = 0.05;
/**
 * A pause halves the size, each look without a heavy load adds so much: as with TCP it stays near what the database bears,
 * which no number from outside tells. Growing back in proportion overshoots every few seconds.
 */
const afterPause = 0.5;
const growth = 0.05;

const shortestMs = 1_000;
const longestMs = 30_000;
/** Batches that grow and shrink by the second are not worth an event each time. */
const tellSlowedMs = 60_000;

/** Begins to watch. Nothing is read, and no session opened, before the first `admit`. */
export function openThrottle(options: ThrottleOptions): Throttle {
  return new SignalThrottle(options);
}

/** Waits until the throttle lets the next batch begin. @throws the signal's reason; what `admit` throws */
export async function admitted(throttle: Throttle, signal: AbortSignal): Promise<Admission> {
  for (;;) {
    signal.throwIfAborted();
    const admission = await throttle.admit();
    if (admission.goOn) return admission;
    await pause(admission.againInMs, undefined, { signal });
  }
}

class SignalThrottle implements Throttle {
  readonly #tell: (event: ThrottleEvent) => void;
  readonly #now: () => number;
  readonly #watchers: readonly Watcher[];
  #looking: Promise<Admission> | null = null;
  #last: Admission = { goOn: true, reason: null, factor: 1, againInMs: 0 };
  #nextLook = Number.NEGATIVE_INFINITY;
  #recheckMs = shortestMs;
  /** The factor when it does not pause. */
  #factor = 1;
  #pausedAt: number | null = null;
  /** The signals that hold it now, by which one pause is told from the next. */
  #holding = '';
  #slowedTold = Number.NEGATIVE_INFINITY;

  constructor({ databases, applicationName, tell, ...options }: ThrottleOptions) {
    this.#tell = tell;
    this.#now = options.now ?? performance.now.bind(performance);
    const { signals = allSignals } = options;
    this.#watchers = databases.map(
      (database) => new Watcher({ database, signals, applicationName, tell, now: this.#now }),
    );
  }

  async admit(): Promise<Admission> {
    if (this.#looking !== null) return this.#looking;
    const waitMs = this.#nextLook - this.#now();
    if (waitMs > 0) return { ...this.#last, againInMs: this.#last.goOn ? 0 : waitMs };
    this.#looking = this.#look();
    try {
      return await this.#looking;
    } finally {
      this.#looking = null;
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#looking]);
    await Promise.all(this.#watchers.map((watcher) => watcher.close()));
  }

  async #look(): Promise<Admission> {
    const looks = await Promise.allSettled(this.#watchers.map((watcher) => watcher.loads()));
    const loads = looks.flatMap((look) => {
      if (look.status === 'rejected') throw look.reason;
      return look.value;
    });
    const bound = this.#pausedAt === null ? 1 : goOnBelow;
    const holding = loads.filter(({ level }) => level > bound);
    this.#last = holding.length > 0 ? this.#pause(holding) : this.#goOn(loads);
    this.#nextLook = this.#now() + (this.#last.goOn ? shortestMs : this.#last.againInMs);
    return this.#last;
  }

  #pause(holding: readonly NamedLoad[]): Admission {
    const reason = this.#sentence(holding);
    const signals = [...new Set(holding.map(({ signal }) => signal))];
    if (this.#holding !== signals.join()) {
      this.#tell({ type: 'throttle-paused', message: `Paused: ${reason}.`, data: { signals, reason } });
      this.#holding = signals.join();
    }
    if (this.#pausedAt === null) this.#factor = Math.max(leastFactor, this.#factor * afterPause);
    this.#pausedAt ??= this.#now();
    const againInMs = this.#recheckMs;
    // It halves again with every look that lets go on: a load that comes back at once is looked at less often.
    this.#recheckMs = Math.min(longestMs, this.#recheckMs * 2);
    return { goOn: false, reason, factor: 0, againInMs };
  }

  #goOn(loads: readonly NamedLoad[]): Admission {
    const pausedMs = this.#pausedAt === null ? null : Math.round(this.#now() - this.#pausedAt);
    if (pausedMs !== null)
      this.#tell({
        type: 'throttle-resumed',
        message: `Going on after ${Math.round(pausedMs / 1_000)} s.`,
        data: { pausedMs },
      });
    this.#pausedAt = null;
    this.#holding = '';
    this.#recheckMs = Math.max(shortestMs, this.#recheckMs / 2);
    const heavy = loads.filter(({ level }) => level > slowFrom);
    const grown = heavy.length > 0 || pausedMs !== null ? this.#factor : this.#factor + growth;
    this.#factor = Math.min(1, grown, ...heavy.map(({ level }) => factorOf(level)));
    const factor = this.#factor;
    const reason = heavy.length > 0 ? this.#sentence(heavy) : factor < 1 ? 'growing back to full size' : null;
    if (heavy.length > 0) this.#tellSlowed(factor, this.#sentence(heavy));
    return { goOn: true, reason, factor, againInMs: 0 };
  }

  #tellSlowed(factor: number, reason: string): void {
    if (this.#now() < this.#slowedTold + tellSlowedMs) return;
    this.#slowedTold = this.#now();
    const percent = Math.round(factor * 100);
    const message = `Going on with ${percent} % of the batch size: ${reason}.`;
    this.#tell({ type: 'throttle-slowed', message, data: { factor, reason } });
  }

  #sentence(loads: readonly NamedLoad[]): string {
    const several = this.#watchers.length > 1;
    return loads.map(({ database, says }) => (several ? `${database}: ${says}` : says)).join('; ');
  }
}

const factorOf = (level: number): number =>
  Math.max(leastFactor, 1 - ((1 - leastFactor) * (level - slowFrom)) / (1 - slowFrom));
