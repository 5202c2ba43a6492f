import { once } from 'node:events';
import { Closing } from './closing.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Running {
  /** Rejects when the process cannot go on. */
  readonly broken?: Promise<never>;
}

/**
 * Starts, waits for SIGINT, SIGTERM or SIGHUP, and closes what was opened, also when starting fails. Further signals
 * change nothing: the way out is the same, and breaking it off could only lose something.
 */
export async function runUntilStopped(
  start: (closing: Closing, stopping: AbortSignal) => Promise<Running>,
): Promise<void> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  for (const signal of signals) process.on(signal, stop);
  const closing = new Closing();
  try {
    const stopped = once(stopping.signal, 'abort');
    const { broken } = await start(closing, stopping.signal);
    await Promise.race(broken === undefined ? [stopped] : [stopped, broken]);
  } catch (error) {
    // Starting fails when it is broken off: that is what was asked for.
    if (!stopping.signal.aborted) throw error;
  } finally {
    await closing.close();
    for (const signal of signals) process.off(signal, stop);
  }
}
