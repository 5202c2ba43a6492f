/** Rows of the control database as the API shows them. */
import type { Job } from '../db/control/generated/client.ts';
import { type JobView, jobState } from './schemas/job.ts';
import { errorRecord } from './schemas/problem.ts';
import type { JobSummary } from './schemas/record.ts';

const storedError = errorRecord.nullable();

export const jobView = (job: Job): JobView => ({
  id: job.id,
  kind: job.kind,
  database: job.database,
  state: jobState.parse(job.state),
  step: job.step,
  percent: job.percent,
  attempt: job.attempt,
  requestedBy: job.requestedBy,
  createdAt: job.createdAt,
  startedAt: job.startedAt,
  finishedAt: job.finishedAt,
  cancelRequestedAt: job.cancelRequestedAt,
  cancelRequestedBy: job.cancelRequestedBy,
  lastEvent: job.lastEvent,
  result: job.result,
  error: storedError.parse(job.error),
});

export const jobSummaryView = (job: Job): JobSummary => ({
  id: job.id,
  state: jobState.parse(job.state),
  step: job.step,
  percent: job.percent,
  error: storedError.parse(job.error),
});
