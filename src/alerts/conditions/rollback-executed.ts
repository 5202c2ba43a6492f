import { defineCondition } from '../define-condition.ts';

export const rollbackExecuted = defineCondition({
  name: 'rollback-executed',
  severity: 'warning',
  summary: 'Migrations were rolled back; a failure on the way is told as such beside it',
  evaluate({ type, state, job, rolledBack }) {
    if (type !== 'finished' || rolledBack.length === 0) return null;
    const names = rolledBack.join(', ');
    if (job.kind === 'deployment')
      return `The deployment of ${job.database} failed, and what it had applied was rolled back: ${names}.`;
    const end =
      state === 'succeeded' ? '' : ` The rollback then ${state === 'failed' ? 'failed' : 'was cancelled'}.`;
    return `Rolled back in ${job.database}: ${names}.${end}`;
  },
});
