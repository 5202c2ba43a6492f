import type { ChangeOf, NewConstraint } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import { listed, lockOn } from '../phrases.ts';
import { isRewritten } from '../rewritten.ts';
import { childrenOf } from '../schema/edit.ts';

export const checkScan = defineRule({
  id: 'check-scan',
  severity: 'caution',
  effect: 'checkScan',
  summary:
    'A CHECK constraint on an existing table that is checked at once, also through a domain, a new type of its column, or a partition’s bounds',
  why: 'ADD CHECK reads every row while it holds ACCESS EXCLUSIVE: neither reads nor writes get through. NOT VALID skips the check (new rows are checked from then on); VALIDATE CONSTRAINT, in a transaction of its own, does it later under SHARE UPDATE EXCLUSIVE, which blocks neither. A constraint on a domain is checked in every table with a column of it, by ADD CONSTRAINT as by VALIDATE CONSTRAINT; another type of a column has its checks made anew. ATTACH PARTITION reads the new partition, and any new partition has the DEFAULT one read for rows that belong into it, unless a valid CHECK already says that there are none.',
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
  on: [
    'addConstraint',
    'addColumn',
    'changeType',
    'constrainDomain',
    'validateDomain',
    'attachPartition',
    'createTable',
  ],
  check(change, context) {
    switch (change.kind) {
      case 'addConstraint':
        return scans(change.constraint, change.table, context);
      case 'addColumn':
        return change.column.constraints.flatMap((constraint) => scans(constraint, change.table, context));
      case 'changeType':
        return checkedAgain(change, context);
      case 'validateDomain':
        return validated(change.type, context);
      case 'constrainDomain':
        return change.what === 'notNull' || change.notValid ? null : throughDomain(change.type, context);
      case 'attachPartition':
        return [
          ...attached(change.table, change.partition, context),
          ...defaultScanned(change.table, context),
        ];
      case 'createTable':
        return change.isPartition && !change.isDefault
          ? change.parents.flatMap((parent) => defaultScanned(parent, context))
          : null;
    }
  },
});

function scans(constraint: NewConstraint, table: string, context: Context): Finding[] {
  const { kind, notValid, enforced, name, at } = constraint;
  if (kind !== 'check' || notValid || !enforced || context.isNew(table) || isRewritten(table, context))
    return [];
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

/** A check over the column is made anew for the new type, and with it every row is checked. */
function checkedAgain({ table, column, at }: ChangeOf<'changeType'>, context: Context): Finding | null {
  if (context.isNew(table) || isRewritten(table, context)) return null;
  const checks = [...(context.table(table)?.constraints.values() ?? [])].filter(
    ({ kind, valid, columns }) => kind === 'check' && valid && columns.includes(column),
  );
  if (checks.length === 0) return null;
  const names = listed(checks.map(({ name }) => context.quote(name)));
  const on = context.name(table);
  return {
    table,
    at,
    message: `Changing the type of ${context.quote(column)} keeps the rows, but holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while every row is checked against ${names} again.`,
    remedy: [
      ...checks.map(({ name }) => `ALTER TABLE ${on} DROP CONSTRAINT ${context.quote(name)};`),
      '-- change the type, add the checks again with NOT VALID behind them, and in the next migration:',
      ...checks.map(({ name }) => `ALTER TABLE ${on} VALIDATE CONSTRAINT ${context.quote(name)};`),
    ].join('\n'),
    work: { kind: 'scan', table },
  };
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

/** Of a domain's constraint it locks as adding it does. */
const validated = (type: string, context: Context): Finding[] =>
  tablesWithType(type, context).map((table) => ({
    table,
    message: `Validating a constraint of the domain ${context.name(type)} holds ${lockOn(context, table, 'SHARE')}, while every row is read.`,
    remedy: `Deploy it when nobody writes to ${context.name(table)}; or have the check on its column instead of the domain, where VALIDATE CONSTRAINT blocks nobody.`,
    work: { kind: 'scan', table },
  }));

function attached(parent: string, partition: string, context: Context): Finding[] {
  if (context.isNew(partition) || saysBounds(partition, parent, context)) return [];
  return [
    {
      table: partition,
      message: `Attaching ${context.name(partition)} to ${context.name(parent)} holds ${lockOn(context, partition, 'ACCESS EXCLUSIVE')}, while every row is compared with the partition's bounds.`,
      remedy: `Add a CHECK to ${context.name(partition)} that says what the bounds say, NOT VALID, and VALIDATE it in the next migration; then attach, which reads nothing; then drop the CHECK.`,
      work: { kind: 'scan', table: partition },
    },
  ];
}

/** Rows of the DEFAULT partition that belong into a new one make the statement fail, so that it is read for them. */
function defaultScanned(parent: string, context: Context): Finding[] {
  const table = childrenOf(context.schema, parent).find(({ isDefault }) => isDefault)?.key;
  if (table === undefined || context.isNew(table) || hasValidCheck(table, parent, context)) return [];
  const on = context.name(table);
  return [
    {
      table,
      message: `A new partition of ${context.name(parent)} has ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, held while every row of that DEFAULT partition is compared with the new one's bounds.`,
      remedy: `Add a CHECK to ${on} that excludes what the new partition's bounds say, NOT VALID, and VALIDATE it in the next migration; then add the partition, which reads nothing; then drop the CHECK.`,
      work: { kind: 'scan', table },
    },
  ];
}

/** Bounds say of each column of the key that it is not null, too. */
const saysBounds = (partition: string, parent: string, context: Context): boolean =>
  hasValidCheck(partition, parent, context) &&
  keyOf(parent, context).every((column) => context.table(partition)?.columns.get(column)?.notNull === true);

/** Whether what it checks is what the bounds say only PostgreSQL finds out; of other columns it cannot be. */
const hasValidCheck = (table: string, parent: string, context: Context): boolean =>
  [...(context.table(table)?.constraints.values() ?? [])].some(
    ({ kind, valid, columns }) =>
      kind === 'check' && valid && keyOf(parent, context).every((column) => columns.includes(column)),
  );

const keyOf = (parent: string, context: Context): readonly string[] =>
  context.table(parent)?.partitionColumns ?? [];
