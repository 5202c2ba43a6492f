/** Which range is worked on by whom: ranges are handed out, and the largest is split when somebody has none. */
import type { RangeRow } from './progress.ts';

/** A range in the hands of a worker. */
export interface Held {
  row: RangeRow;
  /** Rows that are left, about. */
  rest: number;
  /** Somebody waits for a part of it. */
  wanted: boolean;
  /** It has not enough rows left to share. */
  whole: boolean;
}

export class RangePool {
  readonly #free: RangeRow[];
  readonly #held = new Set<Held>();
  #waiting: (() => void)[] = [];
  readonly #leaving = new AbortController();

  constructor(open: readonly RangeRow[]) {
    this.#free = [...open];
  }

  get stopped(): boolean {
    return this.#leaving.signal.aborted;
  }

  /** Aborted when no batch is to begin any more. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** A range to work on; null when there is nothing more to do. Waits while others may still give a part of theirs. */
  async take(): Promise<Held | null> {
    for (;;) {
      if (this.stopped) return null;
      const row = this.#free.shift();
      if (row !== undefined) {
        const held = { row, rest: 0, wanted: false, whole: false };
        this.#held.add(held);
        return held;
      }
      if (this.#held.size === 0) return null;
      const shared = [...this.#held].filter(({ whole, wanted }) => !whole && !wanted);
      const largest = shared.sort((one, other) => other.rest - one.rest)[0];
      if (largest !== undefined) largest.wanted = true;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Puts a range there for somebody else. */
  add(row: RangeRow): void {
    this.#free.push(row);
    this.#wake();
  }

  /** Done with it, or no more of it to share. */
  settle(held: Held, what: 'done' | 'whole'): void {
    if (what === 'done') this.#held.delete(held);
    held.whole = true;
    held.wanted = false;
    this.#wake();
  }

  /** The worker leaves; the range is for somebody else. */
  giveBack(held: Held): void {
    this.#held.delete(held);
    this.add(held.row);
  }

  stop(): void {
    this.#leaving.abort();
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
