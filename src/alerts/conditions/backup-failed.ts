import { defineCondition, type JobFact } from '../define-condition.ts';

/** Whether the job failed because a backup did: an own backup, or the one before a deployment. */
export const isBackupFailure = ({ type, state, job }: JobFact): boolean =>
  type === 'finished' &&
  state === 'failed' &&
  (job.kind === 'backup' || (job.kind === 'deployment' && job.step === 'backup'));

export const backupFailed = defineCondition({
  name: 'backup-failed',
  severity: 'critical',
  summary: 'A backup failed; a deployment that waits for it does not start',
  evaluate(fact) {
    if (!isBackupFailure(fact)) return null;
    return fact.job.kind === 'deployment'
      ? `The backup before the deployment of ${fact.job.database} failed; the deployment did not start.`
      : `The backup of ${fact.job.database} failed.`;
  },
});
