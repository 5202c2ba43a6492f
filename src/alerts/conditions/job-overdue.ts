import { defineCondition } from '../define-condition.ts';

export const jobOverdue = defineCondition({
  name: 'job-overdue',
  severity: 'warning',
  summary: 'A job runs longer than configured, and still runs',
  evaluate(fact) {
    if (fact.type !== 'overdue') return null;
    const where = fact.job.database === null ? '' : ` of ${fact.job.database}`;
    const at = fact.job.step === null ? '' : ` in step ${fact.job.step}`;
    return `The ${fact.job.kind}${where} has been running for ${Math.round(fact.runningMs / 1000)} s${at}.`;
  },
});
