/** A figure of ours, and what it is held against. */
export interface Measurement {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Measured in the same run; the ratio is ours by this one. */
  readonly reference?: { readonly what: string; readonly value: number };
  /** Of the ratio where there is a reference, else of the value. */
  readonly bound?: { readonly atMost: number } | { readonly atLeast: number };
}

export interface Benchmark {
  readonly name: string;
  readonly summary: string;
  run(): Promise<readonly Measurement[]>;
}

export const defineBench = (bench: Benchmark): Benchmark => Object.freeze(bench);

/** Of several rounds the fastest: what else the machine does only ever adds to a time. */
export const fastest = (values: readonly number[]): number => Math.min(...values);

/** How long the work takes, in milliseconds. */
export async function time(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
