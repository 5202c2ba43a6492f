import { insertAlert, insertDeliveries } from '../alerts/raise.ts';
import type { Config } from '../config.ts';
import type { Control, ControlTransaction } from '../db/control/control.ts';
import type { JobQueue } from './queue.ts';

interface AlertDependencies {
  readonly config: Config;
  readonly control: Control;
  readonly queue: JobQueue;
}

/**
 * Delivers an alert once more, to every configured sink.
 * @returns ids of the deliveries' jobs
 * @throws AppError `QUEUE_UNAVAILABLE`: the deliveries are kept, and sent when the queue is back
 */
export const redeliverAlert = (
  deps: AlertDependencies,
  alert: { readonly id: string; readonly database: string | null },
): Promise<string[]> => deliver(deps, (transaction, sinks) => insertDeliveries(transaction, sinks, alert));

/**
 * Raises an alert that says nothing but that alerts arrive.
 * @returns ids of the deliveries' jobs
 * @throws AppError `QUEUE_UNAVAILABLE`: the deliveries are kept, and sent when the queue is back
 */
export const raiseTestAlert = (deps: AlertDependencies, requestedBy: string): Promise<string[]> =>
  deliver(deps, (transaction, sinks) =>
    insertAlert(transaction, sinks, {
      condition: 'test',
      severity: 'notice',
      database: null,
      jobId: null,
      title: 'A test: alerts arrive here',
      body: { requestedBy },
    }),
  );

async function deliver(
  { config, control, queue }: AlertDependencies,
  insert: (transaction: ControlTransaction, sinks: readonly string[]) => Promise<string[]>,
): Promise<string[]> {
  const sinks = config.alerts.sinks.map((sink) => sink.name);
  const jobs = await control.prisma.$transaction((transaction) => insert(transaction, sinks));
  for (const jobId of jobs) await queue.add('signals', { jobId, attempt: 1 });
  return jobs;
}
