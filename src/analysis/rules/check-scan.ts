import type { NewConstraint } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import { lockOn } from '../phrases.ts';

export const checkScan = defineRule({
  id: 'check-scan',
  severity: 'caution',
  effect: 'checkScan',
  summary:
    'A CHECK constraint on an existing table that is checked at once, also through a domain or ATTACH PARTITION',
  why: 'ADD CHECK reads every row while it holds ACCESS EXCLUSIVE: neither reads nor writes get through. NOT VALID skips the check (new rows are checked from then on); VALIDATE CONSTRAINT, in a transaction of its own, does it later under SHARE UPDATE EXCLUSIVE, which blocks neither. A constraint on a domain is checked in every table with a column of it; ATTACH PARTITION reads the new partition unless a valid CHECK already says what its bounds say.',
  peers: [
    'squawk: constraint-missing-not-valid',
    'squawk: ban-alter-domain-with-add-constraint',
    'squawk: ban-create-domain-with-constraint',
    'postgres-language-server: constraintMissingNotValid',
    'postgres-language-server: avoidAttachingPartition',
    'eugene: E1',
    'strong_migrations: add_check_constraint',
    'online_migrations: add_check_constraint',
    'online_migrations: add_text_limit_constraint',
    'Atlas: PG305',
    'Bytebase: statement: add-check-not-valid',
  ],
  on: ['addConstraint', 'addColumn', 'constrainDomain', 'attachPartition'],
  check(change, context) {
    switch (change.kind) {
      case 'addConstraint':
        return scans(change.constraint, change.table, context);
      case 'addColumn':
        return change.column.constraints.flatMap((constraint) => scans(constraint, change.table, context));
      case 'constrainDomain':
        return change.what === 'notNull' || change.notValid ? null : throughDomain(change.type, context);
      case 'attachPartition':
        return attached(change.table, change.partition, context);
    }
  },
});

function scans(constraint: NewConstraint, table: string, context: Context): Finding[] {
  const { kind, notValid, enforced, name, at } = constraint;
  if (kind !== 'check' || notValid || !enforced || context.isNew(table)) return [];
  const on = context.name(table);
  return [
    {
      table,
      at,
      message: `Adding the check ${context.quote(name)} holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while every row is read.`,
      remedy: [
        `Add ${context.quote(name)} to ${on} with NOT VALID behind it, then, in the next migration:`,
        `ALTER TABLE ${on} VALIDATE CONSTRAINT ${context.quote(name)};`,
      ].join('\n'),
      work: { kind: 'scan', table },
    },
  ];
}

/** The tables that existed before with a column of the domain. */
export function tablesWithType(type: string, context: Context): string[] {
  return [...context.schema.tables.values()]
    .filter(
      (table) =>
        !context.isNew(table.key) &&
        [...table.columns.values()].some((column) => context.schema.typeKey(column.type) === type),
    )
    .map(({ key }) => key);
}

function throughDomain(type: string, context: Context): Finding[] {
  return tablesWithType(type, context).map((table) => ({
    table,
    message: `A new constraint on the domain ${context.name(type)} holds ${lockOn(context, table, 'SHARE')}, while every row is read.`,
    remedy: `Add the constraint to the domain with NOT VALID behind it, then, in the next migration: ALTER DOMAIN ${context.name(type)} VALIDATE CONSTRAINT …;`,
    work: { kind: 'scan', table },
  }));
}

function attached(parent: string, partition: string, context: Context): Finding | null {
  if (context.isNew(partition)) return null;
  const constraints = [...(context.table(partition)?.constraints.values() ?? [])];
  if (constraints.some(({ kind, valid }) => kind === 'check' && valid)) return null;
  return {
    table: partition,
    message: `Attaching ${context.name(partition)} to ${context.name(parent)} holds ${lockOn(context, partition, 'ACCESS EXCLUSIVE')}, while every row is compared with the partition's bounds.`,
    remedy: `Add a CHECK to ${context.name(partition)} that says what the bounds say, NOT VALID, and VALIDATE it in the next migration; then attach, which reads nothing; then drop the CHECK.`,
    work: { kind: 'scan', table: partition },
  };
}
