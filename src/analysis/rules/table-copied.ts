import { defineRule } from '../define-rule.ts';
import { lockOn } from '../phrases.ts';

export const tableCopied = defineRule({
  id: 'table-copied',
  severity: 'caution',
  effect: 'rewrite',
  summary:
    'A table copied into new files: SET LOGGED or UNLOGGED, SET TABLESPACE, SET ACCESS METHOD, CLUSTER, VACUUM FULL',
  why: 'Each of these copies the whole table, and builds its indexes anew, under ACCESS EXCLUSIVE: neither reads nor writes get through until it is done. pg_repack and pg_squeeze do the same while the application runs.',
  peers: ['squawk: prefer-repack', 'postgres-language-server: banVacuumFull'],
  on: ['rewriteTable', 'vacuum'],
  check(change, context) {
    if (change.kind === 'vacuum')
      return change.full
        ? {
            message:
              'VACUUM FULL without a table copies every table of the database, one after the other, each under ACCESS EXCLUSIVE.',
            remedy: 'Use plain VACUUM, or pg_repack on the tables that need it.',
          }
        : null;
    const { table, by } = change;
    if (context.isNew(table)) return null;
    return {
      table,
      message: `${by} holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while the whole table is copied and its indexes are built anew.`,
      remedy:
        'Do it outside of migrations with pg_repack or pg_squeeze, which work while the application runs.',
      work: { kind: 'rewrite', table },
    };
  },
});
