import { setTimeout as pause } from 'node:timers/promises';

/** Waits until a condition holds, looking again and again; fails at the deadline with what it saw last. */
export async function waitFor<T>(
  look: () => Promise<T> | T,
  options: { until?: (seen: T) => boolean; timeoutMs?: number; what?: string } = {},
): Promise<T> {
  const { until = Boolean, timeoutMs = 20_000, what = 'the condition' } = options;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (until(seen)) return seen;
    if (Date.now() > deadline)
      throw new Error(`${what} did not hold within ${timeoutMs} ms; last seen: ${JSON.stringify(seen)}`);
    await pause(20);
  }
}
