/** How large the next batch is, and how long it is waited before it. */

/** What may be changed while a data migration runs. */
export interface Pace {
  /** What a batch should take, in milliseconds: so long are the rows of a batch locked. */
  readonly targetMs: number;
  readonly maxRows: number;
  /** All ranges together; null: as fast as it goes. */
  readonly rowsPerSecond: number | null;
  readonly lockTimeoutMs: number;
}

const firstRows = 500;
/** How much the last batch counts among those before it. */
const weight = 0.4;
/** From one batch to the next. */
const mostGrowth = 2;

/** The size of one range's batches: it follows the rows that a millisecond does, smoothly. */
export class BatchSize {
  #rows = firstRows;
  #rowsPerMs: number | null = null;

  /** At least 1. `factor`: the share of full size that the throttle allows. */
  next({ maxRows }: Pace, factor: number): number {
    return Math.max(1, Math.min(maxRows, Math.round(this.#rows * factor)));
  }

  /** A batch that was as large as `rows`; the last one of a range, which may be smaller, tells little. */
  succeeded(rows: number, tookMs: number, { targetMs, maxRows }: Pace): void {
    const rate = rows / Math.max(tookMs, 0.1);
    this.#rowsPerMs = this.#rowsPerMs === null ? rate : this.#rowsPerMs + weight * (rate - this.#rowsPerMs);
    // One that took far too long is answered at once: the rate of those before it is no longer true.
    const expected = Math.min(this.#rowsPerMs, tookMs > 2 * targetMs ? rate : Number.POSITIVE_INFINITY);
    this.#rows = Math.max(1, Math.min(maxRows, expected * targetMs, this.#rows * mostGrowth));
  }

  /** Took too long, waited for too long, or has a row at fault. */
  halve(rows: number): void {
    this.#rows = Math.max(1, Math.floor(rows / 2));
    this.#rowsPerMs = null;
  }
}

/** How long a range rests after a batch, so that the throttle's share and the limit of rows are kept. */
export function restMs(
  batch: { readonly rows: number; readonly tookMs: number },
  { rowsPerSecond }: Pace,
  factor: number,
  ranges: number,
): number {
  const share = factor < 1 ? batch.tookMs * (1 / factor - 1) : 0;
  const limited = rowsPerSecond === null ? 0 : (batch.rows * ranges * 1_000) / rowsPerSecond - batch.tookMs;
  return Math.max(0, share, limited);
}
