import { defineRule } from '../define-rule.ts';
import { blockedBy } from '../locks.ts';
import { lockOn } from '../phrases.ts';

export const explicitLock = defineRule({
  id: 'explicit-lock',
  severity: 'notice',
  effect: null,
  summary: 'LOCK TABLE on an existing table',
  why: 'The lock is kept to the end of the transaction, whatever else the file does.',
  peers: ['pg-schema-diff: ACQUIRES_ACCESS_EXCLUSIVE_LOCK'],
  on: ['lockTable'],
  check({ table, mode }, context) {
    if (context.isNew(table) || blockedBy(mode) === 'nothing') return null;
    return {
      table,
      message: `LOCK TABLE takes ${lockOn(context, table, mode)}, until the transaction ends.`,
      remedy: 'Leave it out where the statements that follow lock the table themselves.',
    };
  },
});
