/** Adds up what the ranges do, and tells it. */
import type { DataMigrationProgress } from './events.ts';
import type { RangeRow } from './progress.ts';

const tellEveryMs = 1_000;
/** The rate is that of about the last so many seconds. */
const overSeconds = 15;

export class Meter {
  readonly #tell: (progress: DataMigrationProgress) => void;
  readonly #ranges = new Map<string, RangeRow>();
  #total: { rows: number; exact: boolean } | null = null;
  #quarantined = 0;
  #rate: number | null = null;
  #scannedThen: number | null = null;
  #at = performance.now();

  constructor(tell: (progress: DataMigrationProgress) => void) {
    this.#tell = tell;
  }

  get quarantined(): number {
    return this.#quarantined;
  }

  set(row: RangeRow): void {
    this.#ranges.set(row.number, row);
  }

  addQuarantined(rows: number): void {
    this.#quarantined += rows;
  }

  setTotal(rows: number | null, exact: boolean): void {
    this.#total = rows === null ? null : { rows, exact };
  }

  /** Tells it if it is time. */
  tick(): void {
    const seconds = (performance.now() - this.#at) / 1_000;
    if (seconds * 1_000 < tellEveryMs) return;
    const { scanned } = this.#sums();
    const rate = this.#scannedThen === null ? null : (scanned - this.#scannedThen) / seconds;
    const weight = Math.min(1, seconds / overSeconds);
    if (rate !== null) this.#rate = this.#rate === null ? rate : this.#rate + weight * (rate - this.#rate);
    this.#scannedThen = scanned;
    this.#at = performance.now();
    this.#tell(this.progress());
  }

  progress(): DataMigrationProgress {
    const sums = this.#sums();
    const total = this.#totalFor(sums);
    const rate = this.#rate ?? 0;
    return {
      ...sums,
      quarantined: this.#quarantined,
      total,
      exact: sums.ranges === 0 || (this.#total?.exact ?? false),
      rowsPerSecond: Math.round(rate),
      secondsLeft: total === null || rate <= 0 ? null : Math.ceil((total - sums.scanned) / rate),
    };
  }

  /** At the end it is what was gone through; of a guess that was too low nothing is left to believe. */
  #totalFor({ scanned, ranges }: { scanned: number; ranges: number }): number | null {
    if (ranges === 0) return scanned;
    return this.#total === null ? null : Math.max(this.#total.rows, scanned);
  }

  #sums(): { scanned: number; changed: number; ranges: number } {
    const sums = { scanned: 0, changed: 0, ranges: 0 };
    for (const { scanned, changed, done } of this.#ranges.values()) {
      sums.scanned += scanned;
      sums.changed += changed;
      if (!done) sums.ranges += 1;
    }
    return sums;
  }
}
