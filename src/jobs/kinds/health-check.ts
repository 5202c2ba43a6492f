import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { toJson } from '../../db/control/job-rows.ts';
import { backlogCheck, controlDatabaseCheck } from '../../health/control.ts';
import type { HealthOutcome } from '../../health/outcome.ts';
import { type ComponentCheck, runChecks } from '../../health/run.ts';
import { defineJob } from '../define-job.ts';
import type { JobQueue } from '../queue.ts';

/** A probe is answered within 4 s, the way through the queue included. */
const deadlineMs = 3_000;

/** Checks every configured database. The job succeeds whatever the checks find: its outcome says it. */
export const healthCheck = defineJob({
  name: 'health-check',
  queue: 'signals',
  payload: z.strictObject({}),
  steps: ['check'],
  exclusive: false,
  attempts: 1,
  backoffMs: () => 0,
  // Whoever asked does not wait any longer.
  whenInterrupted: 'fail',
  record({ id: jobId, requestedBy }) {
    return { table: 'health_check', row: { id: newId(), job_id: jobId, requested_by: requestedBy } };
  },
  async run({ job, deps, signal, step }): Promise<HealthOutcome> {
    const outcome = await step('check', () =>
      runChecks({
        databases: deps.config.databases,
        components: [controlDatabaseCheck(deps.control), backlogCheck(deps.control), queueCheck(deps.queue)],
        deadlineMs,
        signal,
      }),
    );
    await deps.control.prisma.healthCheck.update({
      where: { jobId: job.id },
      data: { outcome: toJson(outcome), finishedAt: new Date() },
    });
    return outcome;
  },
});

const queueCheck = (queue: JobQueue): ComponentCheck => ({
  name: 'switchback:queue',
  timeoutMs: 2_000,
  async run() {
    const startedAt = performance.now();
    await queue.ping();
    return {
      status: 'pass',
      observedValue: Math.round(performance.now() - startedAt),
      observedUnit: 'ms',
    };
  },
});
