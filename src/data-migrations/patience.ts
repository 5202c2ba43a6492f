import { setTimeout as pause } from 'node:timers/promises';
import type { DataMigrationEvent } from './events.ts';
import { failureOf } from './failures.ts';

const budgetMs = 300_000;

/** Does something that needs a lock on a table for a moment: waited for in short tries, between which others go on. */
export async function patiently(
  { signal, report }: { readonly signal: AbortSignal; readonly report: (event: DataMigrationEvent) => void },
  work: () => Promise<void>,
): Promise<void> {
  const deadline = performance.now() + budgetMs;
  for (let tries = 1; ; tries += 1) {
    try {
      await work();
      return;
    } catch (error) {
      signal.throwIfAborted();
      const failure = failureOf(error);
      if ((failure !== 'again' && failure !== 'smaller') || performance.now() > deadline) throw error;
      report({ type: 'retrying', reason: error instanceof Error ? error.message : String(error), rows: 0 });
      await pauseOr(Math.min(5_000, 100 * 2 ** Math.min(tries, 6)), signal);
    }
  }
}

/** Pauses. @throws the signal's reason when that ends it */
export async function pauseOr(milliseconds: number, signal: AbortSignal): Promise<void> {
  await pause(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted());
}
