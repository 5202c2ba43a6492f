import type { ChangeOf, NewConstraint } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import { columnList, lockOn } from '../phrases.ts';
import { comparedAlike } from '../schema/type-change.ts';

export const foreignKeyScan = defineRule({
  id: 'foreign-key-scan',
  severity: 'caution',
  effect: 'foreignKeyScan',
  summary:
    'A foreign key on an existing table that is checked at once, also by ATTACH PARTITION or another type of its target',
  why: 'ADD FOREIGN KEY looks up every row of the table in the referenced one while it holds SHARE ROW EXCLUSIVE on both: reads go on, writes to both tables wait until all rows are checked. NOT VALID skips the check (new rows are checked from then on); VALIDATE CONSTRAINT, in a transaction of its own, does it later under locks that block neither reads nor writes. Foreign keys that point to a column are checked anew when its type becomes one that is compared in another way (integer to bigint); and those of a partitioned table when a partition is attached that has none like them.',
  peers: [
    'squawk: adding-foreign-key-constraint',
    'squawk: constraint-missing-not-valid',
    'postgres-language-server: addingForeignKeyConstraint',
    'postgres-language-server: constraintMissingNotValid',
    'eugene: E1',
    'strong_migrations: add_foreign_key',
    'online_migrations: add_foreign_key',
    'online_migrations: validate_foreign_key',
    'Atlas: PG306',
    'pg-schema-diff: ACQUIRES_SHARE_ROW_EXCLUSIVE_LOCK',
    'Bytebase: statement: add-foreign-key-not-valid',
  ],
  on: ['addConstraint', 'addColumn', 'changeType', 'attachPartition'],
  check(change, context) {
    if (change.kind === 'changeType') return comparedAnew(change, context);
    if (change.kind === 'attachPartition') return attached(change, context);
    if (context.isNew(change.table)) return null;
    if (change.kind === 'addConstraint') return scans(change.constraint, change.table, context);
    // A new column without a default is NULL everywhere: PostgreSQL knows that there is nothing to check.
    if (change.column.defaultValue === null) return null;
    return change.column.constraints.flatMap((constraint) => scans(constraint, change.table, context));
  },
});

function scans(constraint: NewConstraint, table: string, context: Context): Finding[] {
  const { kind, notValid, enforced, references, columns, name, at } = constraint;
  if (kind !== 'foreign' || notValid || !enforced || references === null) return [];
  const [on, target] = [context.name(table), context.name(references)];
  const both = context.isNew(references) || references === table ? on : `${on} and on ${target}`;
  return [
    {
      table,
      at,
      message: `Adding the foreign key ${context.quote(name)} holds SHARE ROW EXCLUSIVE on ${both}, which blocks writes, while every row of ${on} is looked up in ${target}.`,
      remedy: [
        `ALTER TABLE ${on} ADD CONSTRAINT ${context.quote(name)} FOREIGN KEY ${columnList(context, columns)} REFERENCES ${target}${constraint.referencedColumns.length === 0 ? '' : ` ${columnList(context, constraint.referencedColumns)}`}${actionsOf(context)} NOT VALID;`,
        '-- then, in the next migration:',
        `ALTER TABLE ${on} VALIDATE CONSTRAINT ${context.quote(name)};`,
      ].join('\n'),
      work: { kind: 'scan', table },
    },
  ];
}

/** Where the new type of the target is compared by another operator, every row that points to it is looked up again. */
function comparedAnew(change: ChangeOf<'changeType'>, context: Context): Finding[] {
  const { table: target, column, type, at } = change;
  const old = context.column(target, column)?.type;
  if (old === undefined || comparedAlike(old, type, context.schema)) return [];
  return context.schema.referencing(target).flatMap((table) => {
    if (context.isNew(table.key)) return [];
    const keys = [...table.constraints.values()].filter(
      ({ kind, valid, references, referencedColumns }) =>
        kind === 'foreign' && valid && references === target && referencedColumns.includes(column),
    );
    return keys.map(({ name }) => keyCheckedAgain(table.key, name, { target, column, at }, context));
  });
}

function keyCheckedAgain(
  table: string,
  key: string,
  { target, column, at }: { target: string; column: string; at: number | null },
  context: Context,
): Finding {
  const [on, name] = [context.name(table), context.quote(key)];
  return {
    table,
    at,
    message: `Changing the type of ${context.quote(column)} has the foreign key ${name} checked anew: it holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while every row of ${on} is looked up in ${context.name(target)}.`,
    remedy: [
      `ALTER TABLE ${on} DROP CONSTRAINT ${name};`,
      '-- change the type, add the key again with NOT VALID behind it, and in the next migration:',
      `ALTER TABLE ${on} VALIDATE CONSTRAINT ${name};`,
    ].join('\n'),
    work: { kind: 'scan', table },
  };
}

function attached({ table: parent, partition }: ChangeOf<'attachPartition'>, context: Context): Finding[] {
  if (context.isNew(partition)) return [];
  const own = [...(context.table(partition)?.constraints.values() ?? [])];
  return [...(context.table(parent)?.constraints.values() ?? [])].flatMap(
    ({ kind, references, columns, name }) => {
      const isOwn = own.some(
        (other) =>
          other.kind === 'foreign' &&
          other.valid &&
          other.references === references &&
          other.columns.join() === columns.join(),
      );
      if (kind !== 'foreign' || references === null || isOwn) return [];
      const [on, target] = [context.name(partition), context.name(references)];
      return [
        {
          table: partition,
          message: `Attaching ${on} to ${context.name(parent)} gives it the foreign key ${context.quote(name)}: it holds ${lockOn(context, partition, 'ACCESS EXCLUSIVE')}, while every row of ${on} is looked up in ${target}.`,
          remedy: `Give ${on} the same foreign key before, NOT VALID, and VALIDATE it in the next migration; then attach, which takes it over.`,
          work: { kind: 'scan' as const, table: partition },
        },
      ];
    },
  );
}

/** ON DELETE and ON UPDATE as they are written, where the statement has just one constraint. */
function actionsOf({ statement, siblings }: Context): string {
  if (siblings.length !== 1) return '';
  return [
    ...statement.text.matchAll(
      /\bON\s+(?:DELETE|UPDATE)\s+(?:CASCADE|RESTRICT|NO\s+ACTION|SET\s+(?:NULL|DEFAULT))/gi,
    ),
  ]
    .map(([action]) => ` ${action.replace(/\s+/g, ' ')}`)
    .join('');
}
