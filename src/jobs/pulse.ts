import { type Attempt, heartbeat } from '../db/control/job-rows.ts';
import { AppError } from '../errors.ts';
import type { JobDependencies } from './dependencies.ts';

export interface PulseOptions {
  readonly heartbeatMs: number;
  /** A job whose heartbeat is older than this is taken over. */
  readonly staleMs: number;
}

/**
 * Says that this worker lives, and learns whether the job is to be cancelled or is another's by now: then `abort` is
 * called with the reason. A control database that does not answer is borne for `staleMs`. After that another worker may
 * have taken the job over, or will once the database is back, and this one leaves it.
 */
export function startPulse(
  { control, log }: Pick<JobDependencies, 'control' | 'log'>,
  attempt: Attempt,
  { heartbeatMs, staleMs }: PulseOptions,
  abort: (reason: AppError) => void,
): { stop(): void } {
  // Counted by beats, not read from a clock: while the event loop was blocked nobody could have answered.
  let unansweredMs = 0;
  let asking = false;
  const ask = async (): Promise<void> => {
    asking = true;
    try {
      const answer = await heartbeat(control.prisma, attempt);
      unansweredMs = 0;
      if (answer === 'cancel') abort(cancelled());
      if (answer === 'lost') abort(superseded());
    } catch (error) {
      log.warn({ err: error, job: attempt.jobId }, 'the control database does not take a heartbeat');
    } finally {
      asking = false;
    }
  };
  const beat = (): void => {
    unansweredMs += heartbeatMs;
    if (unansweredMs > staleMs) abort(superseded());
    if (!asking) void ask();
  };
  const timer = setInterval(beat, heartbeatMs);
  const deafen = control.listener.on('switchback_cancel', (jobId) => {
    if ((jobId === null || jobId === attempt.jobId) && !asking) void ask();
  });
  return {
    stop() {
      clearInterval(timer);
      deafen();
    },
  };
}

export const cancelled = (): AppError => new AppError('JOB_CANCELLED', 'The job was cancelled on request.');

export const superseded = (): AppError =>
  new AppError('JOB_SUPERSEDED', 'Another worker has taken the job over, or is going to.');
