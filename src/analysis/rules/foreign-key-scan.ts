import type { NewConstraint } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import { columnList } from '../phrases.ts';

export const foreignKeyScan = defineRule({
  id: 'foreign-key-scan',
  severity: 'caution',
  effect: 'foreignKeyScan',
  summary: 'A foreign key on an existing table that is checked at once',
  why: 'ADD FOREIGN KEY looks up every row of the table in the referenced one while it holds SHARE ROW EXCLUSIVE on both: reads go on, writes to both tables wait until all rows are checked. NOT VALID skips the check (new rows are checked from then on); VALIDATE CONSTRAINT, in a transaction of its own, does it later under locks that block neither reads nor writes.',
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
  on: ['addConstraint', 'addColumn'],
  check(change, context) {
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
