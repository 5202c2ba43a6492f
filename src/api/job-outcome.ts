import { AppError, httpStatus } from '../errors.ts';
import type { JobView } from './schemas/job.ts';

/** `curl --retry` takes these for passing troubles, and would ask about a failed job for ever. */
const retriedByCurl = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** The error of a job that has not succeeded, and the HTTP status that tells a deploy script whether to ask again. */
export function failureOf(job: JobView): { error: AppError; status: number } {
  if (job.error === null) {
    const error = new AppError(
      'JOB_STILL_RUNNING',
      `The job ${job.id} is ${job.state}${job.step === null ? '' : ` in step ${job.step}`}, ${job.percent} % done. Ask again.`,
      { job: job.id, state: job.state, step: job.step, percent: job.percent },
    );
    return { error, status: httpStatus(error.code) };
  }
  const { code, detail, details } = job.error;
  const own = httpStatus(code);
  const error = new AppError(code, detail, { ...details, job: job.id, state: job.state });
  return { error, status: retriedByCurl(own) ? 424 : own };
}
