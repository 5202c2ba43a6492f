import { defineRule } from '../define-rule.ts';

export const faultySuppression = defineRule({
  id: 'faulty-suppression',
  severity: 'caution',
  effect: null,
  summary:
    'A `-- switchback: allow` comment that names no rule, gives no reason, or allows what does not fire',
  why: 'A comment that allows nothing looks as if something had been thought of and found harmless. One that is no longer needed would hide the next mistake at the same place.',
  peers: ['squawk: unused-ignore'],
});
