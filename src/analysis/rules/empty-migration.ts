import { defineRule } from '../define-rule.ts';

export const emptyMigration = defineRule({
  id: 'empty-migration',
  severity: 'notice',
  effect: null,
  summary: 'A file without any statement',
  why: 'It is applied and changes nothing. Often something was meant to be there.',
  peers: [],
  checkMigration: ({ statements, text }) =>
    statements.length === 0 && !/[^\s;]/.test(text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ''))
      ? [
          {
            message: 'The file has no statement.',
            remedy: 'Write what it was meant to do, or remove it before it is applied anywhere.',
          },
        ]
      : [],
});
