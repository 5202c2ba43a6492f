import { defineCondition } from '../define-condition.ts';
import { isBackupFailure } from './backup-failed.ts';

export const jobFailed = defineCondition({
  name: 'job-failed',
  severity: 'critical',
  summary: 'A job failed',
  evaluate(fact) {
    // A failed backup has a condition of its own; one fact is told once.
    if (fact.type !== 'finished' || fact.state !== 'failed' || isBackupFailure(fact)) return null;
    const where = fact.job.database === null ? '' : ` of ${fact.job.database}`;
    return `The ${fact.job.kind}${where} failed: ${fact.error?.title ?? 'no reason is known'}.`;
  },
});
