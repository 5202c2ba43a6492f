import { setTimeout as pause } from 'node:timers/promises';

/**
 * Asks again and again until the condition holds, and returns what it returned.
 * @throws Error when it does not hold in time; `what` says what was waited for
 */
export async function waitFor<T>(
  condition: () => Promise<T> | T,
  options: { timeoutMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const { timeoutMs = 10_000, what = condition.toString() } = options;
  for (const until = Date.now() + timeoutMs; ; await pause(20)) {
    const value = await condition();
    if (value !== false && value !== null && value !== undefined) return value;
    if (Date.now() > until) throw new Error(`not within ${timeoutMs} ms: ${what}`);
  }
}
