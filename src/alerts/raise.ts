import { v7 as newId } from 'uuid';
import type { ControlTransaction } from '../db/control/control.ts';
import { toJson } from '../db/control/job-rows.ts';
import type { ErrorRecord } from '../errors.ts';
import { conditions } from './conditions/index.ts';
import type { JobFact } from './define-condition.ts';

/** The job kind that delivers; its rows are inserted here, in the transaction of what they tell. */
export const deliveryKind = 'alert-delivery';

/**
 * Inserts the alerts that a fact gives rise to, with one delivery and its job for each sink. Returns the jobs' ids:
 * they go into the queue once the transaction has committed (the repair pass adds what a crash loses).
 */
export async function raiseAlerts(
  transaction: ControlTransaction,
  sinks: readonly string[],
  fact: JobFact,
): Promise<string[]> {
  // A delivery that fails would tell of itself for ever, and whoever asked for a health check is told by its outcome.
  if (fact.job.queue === 'signals') return [];
  const jobs: string[] = [];
  for (const condition of conditions) {
    const title = condition.evaluate(fact);
    if (title === null) continue;
    const { id, kind, database, step, requestedBy } = fact.job;
    const body = {
      job: {
        id,
        kind,
        database,
        step,
        requestedBy,
        state: fact.state,
        runningMs: Math.round(fact.runningMs),
      },
      error: withoutRowValues(fact.error),
      ...(fact.rolledBack.length === 0 ? {} : { rolledBack: fact.rolledBack }),
    };
    jobs.push(
      ...(await insertAlert(transaction, sinks, {
        condition: condition.name,
        severity: condition.severity,
        database,
        jobId: id,
        title,
        body,
      })),
    );
  }
  return jobs;
}

/** Inserts one alert with its deliveries; returns the deliveries' jobs. */
export async function insertAlert(
  transaction: ControlTransaction,
  sinks: readonly string[],
  alert: {
    condition: string;
    severity: string;
    database: string | null;
    jobId: string | null;
    title: string;
    body: object;
  },
): Promise<string[]> {
  const id = newId();
  await transaction.alert.create({ data: { ...alert, id, body: toJson(alert.body) } });
  return insertDeliveries(transaction, sinks, { id, database: alert.database });
}

export async function insertDeliveries(
  transaction: ControlTransaction,
  sinks: readonly string[],
  alert: { id: string; database: string | null },
): Promise<string[]> {
  const jobs = sinks.map((sink) => ({ jobId: newId(), deliveryId: newId(), sink }));
  for (const { jobId, deliveryId, sink } of jobs) {
    await transaction.job.create({
      data: {
        id: jobId,
        kind: deliveryKind,
        queue: 'signals',
        database: alert.database,
        payload: { delivery: deliveryId },
        requestedBy: 'switchback',
      },
    });
    await transaction.delivery.create({ data: { id: deliveryId, alertId: alert.id, jobId, sink } });
  }
  return jobs.map(({ jobId }) => jobId);
}

/** PostgreSQL's DETAIL and WHERE may hold values of rows: they are shown to readers of the database, not sent out. */
function withoutRowValues(error: ErrorRecord | null): ErrorRecord | null {
  if (error === null) return null;
  const { detail: _, where: __, faults: ___, ...details } = error.details;
  return { ...error, details };
}
