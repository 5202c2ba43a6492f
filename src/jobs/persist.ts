import { setTimeout as pause } from 'node:timers/promises';

const longestPauseMs = 2_000;

/**
 * Writes to the control database, which may be away for a moment: tries again for `forMs`, then throws. A write that
 * was committed while its answer was lost is made a second time: it must be guarded by the state that it changes.
 */
export async function persist<T>(forMs: number, write: () => Promise<T>): Promise<T> {
  const until = performance.now() + forMs;
  for (let pauseMs = 100; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    try {
      return await write();
    } catch (error) {
      if (performance.now() + pauseMs > until) throw error;
      await pause(pauseMs);
    }
  }
}
