import { defineRule } from '../define-rule.ts';

export const triggerChanged = defineRule({
  id: 'trigger-changed',
  severity: 'notice',
  effect: null,
  summary: 'A trigger of an existing table is made, dropped or switched',
  why: 'CREATE TRIGGER takes SHARE ROW EXCLUSIVE and DROP TRIGGER ACCESS EXCLUSIVE, both for a moment; what the application relied on, or does not expect, changes at once for every write.',
  peers: [
    'postgres-language-server: avoidCreateTrigger',
    'postgres-language-server: avoidEnableDisableTrigger',
    'postgres-language-server: banDropTrigger',
  ],
  on: ['createTrigger', 'dropTrigger', 'switchTrigger'],
  check(change, context) {
    if (context.isNew(change.table)) return null;
    const verb = {
      createTrigger: 'is added to',
      dropTrigger: 'is taken from',
      switchTrigger:
        change.kind === 'switchTrigger' && change.enabled ? 'is switched on at' : 'is switched off at',
    }[change.kind];
    return {
      table: change.table,
      message: `A trigger ${verb} ${context.name(change.table)}: every write to it behaves differently from now on, also those of the old release.`,
    };
  },
});
