import type { NewConstraint } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule, type Finding } from '../define-rule.ts';
import { columnList, lockOn, madeName } from '../phrases.ts';

const words = { primary: 'PRIMARY KEY', unique: 'UNIQUE', exclusion: 'EXCLUDE' } as const;
type Indexed = keyof typeof words;
const isIndexed = (kind: string): kind is Indexed => kind in words;

export const constraintBuildsIndex = defineRule({
  id: 'constraint-builds-index',
  severity: 'caution',
  effect: 'indexBuild',
  summary: 'A PRIMARY KEY, UNIQUE or EXCLUDE constraint on an existing table that builds its index itself',
  why: 'The index of the constraint is built while ALTER TABLE holds ACCESS EXCLUSIVE: neither reads nor writes get through until the whole table has been read and sorted. An index that was built CONCURRENTLY before becomes the constraint in an instant (USING INDEX). An exclusion constraint has no such way: build it on a new table and swap, or choose a quiet hour.',
  peers: [
    'squawk: disallowed-unique-constraint',
    'squawk: adding-serial-primary-key-field',
    'postgres-language-server: disallowUniqueConstraint',
    'postgres-language-server: addingPrimaryKeyConstraint',
    'postgres-language-server: avoidAddingExclusionConstraint',
    'eugene: E7',
    'eugene: E8',
    'strong_migrations: add_unique_constraint',
    'strong_migrations: add_exclusion_constraint',
    'online_migrations: add_unique_constraint',
    'online_migrations: add_exclusion_constraint',
    'Atlas: PG104',
    'Atlas: PG105',
  ],
  on: ['addConstraint', 'addColumn'],
  check(change, context) {
    if (context.isNew(change.table)) return null;
    const constraints = change.kind === 'addColumn' ? change.column.constraints : [change.constraint];
    return constraints.flatMap((constraint) => builds(constraint, change.table, context));
  },
});

function builds(constraint: NewConstraint, table: string, context: Context): Finding[] {
  const { kind, columns, name, usingIndex, at } = constraint;
  if (!isIndexed(kind) || usingIndex !== null) return [];
  return [
    {
      table,
      at,
      message: `Adding ${words[kind]} ${columnList(context, columns)} holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while the index is built over the whole table.`,
      remedy: remedyFor(kind, table, columns, name, context),
      work: { kind: 'index', table },
    },
  ];
}

function remedyFor(
  kind: Indexed,
  table: string,
  columns: readonly string[],
  name: string,
  context: Context,
): string {
  const on = context.name(table);
  if (kind === 'exclusion')
    return `There is no way to add it to ${on} without blocking. Add it to a new table and swap the two, or deploy when nobody uses ${on}.`;
  const index = madeName(context, name, 'idx');
  return [
    `CREATE UNIQUE INDEX CONCURRENTLY ${index} ON ${on} ${columnList(context, columns)};`,
    '-- then, in the next migration:',
    `ALTER TABLE ${on} ADD CONSTRAINT ${context.quote(name)} ${words[kind]} USING INDEX ${index};`,
  ].join('\n');
}
