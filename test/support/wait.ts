import { setTimeout as pause } from 'node:timers/promises';

/**
 * Looks again and again until what is seen is right (by default: truthy), and returns it.
 * @throws Error at the deadline, with `what` was waited for and what was seen last
 */
export async function waitFor<T>(
  look: () => Promise<T> | T,
  options: { until?: (seen: T) => boolean; timeoutMs?: number; what?: string } = {},
): Promise<T> {
  const { until = Boolean, timeoutMs = 15_000, what = look.toString() } = options;
  for (const deadline = Date.now() + timeoutMs; ; await pause(20)) {
    const seen = await look();
    if (until(seen)) return seen;
    if (Date.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${what}; last seen: ${JSON.stringify(seen)}`);
  }
}
