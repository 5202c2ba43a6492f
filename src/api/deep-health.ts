/**
 * The deep probe: from here through the queue and a worker to every configured database, and back. Probes at the same
 * time share one run, and its outcome is given again for a while.
 */
import { AppError } from '../errors.ts';
import { enqueue } from '../jobs/enqueue.ts';
import { waitForJob } from '../jobs/jobs.ts';
import { healthCheck } from '../jobs/kinds/health-check.ts';
import type { App } from './app.ts';
import type { ApiDependencies } from './dependencies.ts';
import { combine, failing, within } from './health-outcome.ts';
import { failureOf } from './job-outcome.ts';
import { type Outcome, outcome } from './schemas/health.ts';
import { jobView } from './views.ts';

const answerWithinMs = 3_800;
const reuseForMs = 5_000;
const waitSeconds = 300;

/** Makes the function that gives the outcome of a deep probe within 4 seconds. It does not throw: an outage is one. */
export function makeDeepHealth(app: App, deps: ApiDependencies): () => Promise<Outcome> {
  let running: Promise<Outcome> | null = null;
  let last: { outcome: Outcome; at: number } | null = null;

  const start = async (): Promise<Outcome> => {
    const found = await runThroughQueue(app, deps).catch(failed);
    last = { outcome: found, at: performance.now() };
    running = null;
    return found;
  };

  return async () => {
    if (last !== null && performance.now() - last.at < reuseForMs) return last.outcome;
    // A run that no worker takes is what later probes wait for too: they add no further job.
    running ??= start();
    return within(answerWithinMs, running, tooLate);
  };
}

async function runThroughQueue({ closing, tails }: App, deps: ApiDependencies): Promise<Outcome> {
  const { jobId } = await enqueue(deps, {
    kind: healthCheck,
    database: null,
    payload: {},
    requestedBy: 'health-probe',
  });
  const waiting = { seconds: waitSeconds, signal: closing };
  const job = jobView(await waitForJob({ control: deps.control, tails }, jobId, waiting));
  if (job.state !== 'succeeded') throw failureOf(job).error;
  return outcome.parse(job.result);
}

const failed = (error: unknown): Outcome => combine({ 'switchback:worker': failing(error) });

const tooLate = (): Outcome =>
  failed(new AppError('CHECK_TIMEOUT', 'No worker has answered in time. See whether one is running.'));
