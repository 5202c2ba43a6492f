import { AppError } from '../errors.ts';

/** Whether another worker goes on with the job: this one has lost it, or goes down, and tells nothing. */
export const isHandedOver = ({ aborted, reason }: AbortSignal): boolean =>
  aborted &&
  reason instanceof AppError &&
  (reason.code === 'JOB_INTERRUPTED' || reason.code === 'JOB_SUPERSEDED');

/** What an abort cannot undo is told as the failure that it is, in spite of the abort's own reason. */
export const tellsMore: ReadonlySet<string> = new Set([
  'MIGRATION_HALF_APPLIED',
  'ROLLBACK_UNFINISHED',
  'STEP_UNKNOWN',
]);
