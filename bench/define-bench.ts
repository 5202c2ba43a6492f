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

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

/** How long the work takes, in milliseconds. */
export async function time(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
