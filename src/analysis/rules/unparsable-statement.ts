import { defineRule } from '../define-rule.ts';

export const unparsableStatement = defineRule({
  id: 'unparsable-statement',
  severity: 'dangerous',
  effect: null,
  summary: 'Text that PostgreSQL’s grammar does not know',
  why: 'The migration fails here. psql’s own commands (`\\i`, `\\copy`) are no SQL; backticks, AUTO_INCREMENT and the like belong to other databases. The statements around it are looked at all the same.',
  peers: ['squawk: syntax-error'],
});
