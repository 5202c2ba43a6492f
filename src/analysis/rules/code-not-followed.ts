import { defineRule } from '../define-rule.ts';

export const codeNotFollowed = defineRule({
  id: 'code-not-followed',
  severity: 'notice',
  effect: null,
  summary: 'A DO block or function whose statements only its execution shows',
  why: 'Statements inside DO blocks and called functions are looked at like any others, and so is EXECUTE of a constant text. What is put together from variables or from rows of a query is known to the server alone: the verdict says nothing about it.',
  peers: ['strong_migrations: execute', 'online_migrations: execute', 'pg-schema-diff: IS_USER_GENERATED'],
  on: ['dynamic', 'other'],
  check(change, context) {
    if (change.kind === 'other')
      return change.statement.startsWith('unparsable')
        ? { message: `This code could not be looked into (${change.statement.replace('unparsable: ', '')}).` }
        : null;
    const text = change.text.replace(/\s+/g, ' ');
    return {
      message: `What ${text.length > 60 ? `${text.slice(0, 60)}…` : text} does is known only when it runs; the verdict says nothing about it.`,
      remedy: context.embedded
        ? 'Write the statements out, where they are known.'
        : 'Write it in PL/pgSQL or SQL.',
    };
  },
});
