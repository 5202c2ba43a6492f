import { type QueueName, queueNames } from './define-job.ts';
import type { JobDependencies } from './dependencies.ts';
import type { QueueEntry } from './queue.ts';

/** An entry on its way into its queue. */
export interface DueEntry extends QueueEntry {
  readonly queue: QueueName;
  readonly delayMs?: number;
}

/** The entry that stands for a job's next attempt. */
export const nextEntry = (
  job: { readonly id: string; readonly queue: string; readonly attempt: number },
  delayMs = 0,
): DueEntry => ({
  queue: queueNames.find((name) => name === job.queue) ?? 'operations',
  jobId: job.id,
  attempt: job.attempt + 1,
  delayMs,
});

/** The first entries of alerts' deliveries. */
export const deliveryEntries = (jobIds: readonly string[]): DueEntry[] =>
  jobIds.map((jobId) => ({ queue: 'signals', jobId, attempt: 1 }));

/** Adds entries of rows that say `queued`: what the queue does not take now, the repair pass adds. */
export async function addEntries(
  { queue, log }: Pick<JobDependencies, 'queue' | 'log'>,
  entries: readonly DueEntry[],
): Promise<void> {
  for (const entry of entries) {
    try {
      await queue.add(entry.queue, entry, Math.ceil(entry.delayMs ?? 0));
    } catch (error) {
      log.warn(
        { err: error, job: entry.jobId },
        'the queue did not take a queued job; it is offered again later',
      );
      return;
    }
  }
}
