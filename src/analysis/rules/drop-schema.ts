import { defineRule } from '../define-rule.ts';

export const dropSchema = defineRule({
  id: 'drop-schema',
  severity: 'dangerous',
  effect: 'dataLoss',
  summary: 'DROP SCHEMA or DROP DATABASE',
  why: 'Everything in it goes: tables with their rows, types, functions. Nothing but a backup brings them back.',
  peers: [
    'squawk: ban-drop-database',
    'postgres-language-server: banDropSchema',
    'postgres-language-server: banDropDatabase',
    'Atlas: DS101',
  ],
  on: ['dropSchema', 'dropDatabase'],
  check(change, context) {
    if (change.kind === 'dropDatabase')
      return {
        message: `Dropping the database ${context.quote(change.database)} takes everything in it, for good.`,
        remedy: 'Take it out: a migration changes the database that it runs in, and no other.',
      };
    const tables = [...context.schema.tables.values()].filter(
      ({ schema, key }) => schema === change.schema && !context.isNew(key),
    );
    // Without CASCADE only an empty schema can be dropped.
    if (!change.cascade && context.schema.complete && tables.length === 0)
      return {
        severity: 'safe',
        effect: null,
        message: `The schema ${context.quote(change.schema)} is empty, as far as is known; without CASCADE it is dropped only if it is.`,
      };
    return {
      message: `Dropping the schema ${context.quote(change.schema)} takes ${tables.length === 0 ? 'everything in it' : `its ${tables.length} tables`}, for good, each under ACCESS EXCLUSIVE.`,
      remedy: `Rename it until you are sure: ALTER SCHEMA ${context.quote(change.schema)} RENAME TO …;`,
    };
  },
});
