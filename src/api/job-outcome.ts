import { AppError, type ErrorRecord, httpStatus } from '../errors.ts';
import type { JobView } from './schemas/job.ts';

/** `curl --retry` takes these for passing troubles, and would ask about a failed job for ever. */
const retriedByCurl = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** The error of a job that ended without success, and the HTTP status that ends a deploy script's wait for it. */
export function failureOf(job: JobView): { error: AppError; status: number } {
  const stored: ErrorRecord = job.error ?? {
    code: job.state === 'cancelled' ? 'JOB_CANCELLED' : 'INTERNAL',
    title: '',
    detail: `The job ${job.id} is ${job.state}.`,
    details: {},
  };
  const error = new AppError(stored.code, stored.detail, {
    ...stored.details,
    job: job.id,
    state: job.state,
  });
  const own = httpStatus(stored.code);
  return { error, status: retriedByCurl(own) ? 424 : own };
}
