import { sqlstateOf } from '../db/errors.ts';
import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { watchLocks } from './lock-watch.ts';
import type { Step } from './segments.ts';

interface Allowing {
  readonly session: Session;
  readonly observer: Session;
  readonly lockTimeoutMs: number;
  readonly ownLockTimeout: boolean;
}

/**
 * How long a segment may still wait for locks. `lock_timeout` counts for each lock anew; here waits add up from the
 * segment's first blocking statement on, so that queries queued behind its locks wait no longer than `lockTimeoutMs`
 * for what it waits for in turn.
 */
export class LockAllowance {
  readonly #run: Allowing;
  #counting = false;
  #waitedMs = 0;

  constructor(run: Allowing) {
    this.#run = run;
  }

  /** The `lock_timeout` in milliseconds for the next statements; null where none is due. */
  leftFor(steps: readonly Pick<Step, 'blocks'>[]): number | null {
    const due = this.#counting || steps.some((step) => step.blocks);
    // 0 would mean: wait for ever.
    return due && !this.#run.ownLockTimeout
      ? Math.max(1, Math.round(this.#run.lockTimeoutMs - this.#waitedMs))
      : null;
  }

  /** Watches the waits of these statements; they count from the first blocking one on. */
  watch(steps: readonly Pick<Step, 'blocks'>[]): WatchedWaits {
    this.#counting ||= steps.some((step) => step.blocks);
    return new WatchedWaits(this.#run, (ms) => {
      if (!this.#counting) return false;
      this.#waitedMs += ms;
      return !this.#run.ownLockTimeout && this.#waitedMs > this.#run.lockTimeoutMs;
    });
  }
}

/** The waits of what one message runs. */
class WatchedWaits {
  readonly #run: Allowing;
  readonly #used: (ms: number) => boolean;
  #cancelled = false;
  /** Who was in the way when it was last seen waiting; empty when nobody was. */
  blockers = '';

  /** `used` takes note of a wait, and says whether that was too much. */
  constructor(run: Allowing, used: (ms: number) => boolean) {
    this.#run = run;
    this.#used = used;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    const { observer, session } = this.#run;
    return watchLocks(observer, session.pid, work, async ({ waitedMs, blockers }) => {
      this.blockers = blockers;
      if (!this.#used(waitedMs) || this.#cancelled) return;
      this.#cancelled = true;
      await observer.query('select pg_catalog.pg_cancel_backend($1)', [session.pid]);
    });
  }

  /** The error of the work; one that we caused by cancelling it is a lock timeout. */
  explain(error: AppError, signal: AbortSignal): AppError {
    if (!this.#cancelled || sqlstateOf(error) !== '57014' || signal.aborted) return error;
    const reason = `canceling statement: its transaction waited for locks for more than ${this.#run.lockTimeoutMs} ms in all`;
    return new AppError(
      'LOCK_TIMEOUT',
      reason,
      { ...error.details, reason, sqlstate: '55P03' },
      { cause: error },
    );
  }
}
