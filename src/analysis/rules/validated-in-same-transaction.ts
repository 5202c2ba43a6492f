import { defineRule } from '../define-rule.ts';
import { lockOn } from '../phrases.ts';

export const validatedInSameTransaction = defineRule({
  id: 'validated-in-same-transaction',
  severity: 'caution',
  effect: 'longExclusiveLock',
  summary:
    'VALIDATE CONSTRAINT while the transaction still holds the lock with which the constraint was added',
  why: 'VALIDATE blocks nobody by itself; but locks last to the end of the transaction, so that after ADD CONSTRAINT … NOT VALID in the same one the table stays locked while every row is read. Prisma’s older engines and Switchback run a file as one transaction: put the VALIDATE into the next migration.',
  peers: [
    'postgres-language-server: requireSeparateConstraintValidation',
    'online_migrations: validate_constraint',
  ],
  on: ['validateConstraint'],
  check({ table, name }, context) {
    const held = context.transaction.held.get(table);
    if (context.isNew(table) || held === undefined || held.mode === 'SHARE UPDATE EXCLUSIVE') return null;
    const constraint = context.table(table)?.constraints.get(name);
    if (constraint?.valid === true) return null;
    return {
      table,
      effect:
        constraint?.kind === 'foreign'
          ? 'foreignKeyScan'
          : constraint?.kind === 'check'
            ? 'checkScan'
            : 'notNullScan',
      message: `The transaction has held ${lockOn(context, table, held.mode)} since line ${held.line}, and holds it while VALIDATE reads every row.`,
      remedy: `Put this statement into the next migration, so that it runs in a transaction of its own: ALTER TABLE ${context.name(table)} VALIDATE CONSTRAINT ${context.quote(name)};`,
      work: { kind: 'scan', table },
    };
  },
});
