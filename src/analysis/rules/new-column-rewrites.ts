import type { ChangeOf } from '../changes/change.ts';
import type { Context } from '../context.ts';
import { defineRule } from '../define-rule.ts';
import { lockOn } from '../phrases.ts';
import { volatileFunctions } from '../schema/volatility.ts';

export const newColumnRewrites = defineRule({
  id: 'new-column-rewrites',
  severity: 'caution',
  effect: 'rewrite',
  summary:
    'ADD COLUMN with a value that has to be computed for every row: volatile default, serial, identity, stored generated column, domain with constraints',
  why: 'A constant default is kept in the catalogue (PostgreSQL 11 and later), and so is the value of now(), which is the same for the whole statement. A volatile default, a serial or identity column and a GENERATED … STORED column give every row its own value: the table and all its indexes are written anew under ACCESS EXCLUSIVE. Add the column without it, set the default for new rows, and fill the old ones in batches.',
  peers: [
    'squawk: adding-field-with-default',
    'squawk: adding-serial-primary-key-field',
    'postgres-language-server: addSerialColumn',
    'postgres-language-server: addingFieldWithDefault',
    'eugene: E11',
    'strong_migrations: volatile default',
    'strong_migrations: add auto-increment column',
    'strong_migrations: add stored generated column',
    'online_migrations: add_column_with_default',
    'online_migrations: add_column_generated_stored',
    'online_migrations: add_timestamps_with_default',
    'Atlas: PG302',
    'Bytebase: column: default-disallow-volatile',
    'Bytebase: statement: disallow-add-column-with-default',
  ],
  on: ['addColumn', 'changeGenerated'],
  check(change, context) {
    const { table } = change;
    if (context.isNew(table)) return null;
    if (change.kind === 'changeGenerated') {
      // A virtual column is computed when it is read.
      if (change.to !== 'expression' || context.column(table, change.column)?.generated !== 'stored')
        return null;
      return {
        table,
        message: `Giving the generated column ${context.quote(change.column)} another expression holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while every row and every index is written anew.`,
        remedy: 'Add a second generated column under another name, and change the application over to it.',
        work: { kind: 'rewrite', table },
      };
    }
    const why = whyNewColumnRewrites(change, context);
    if (why === null) return null;
    const { column } = change;
    const [on, name] = [context.name(table), context.quote(column.name)];
    return {
      table,
      at: column.at,
      message: `Adding ${name} holds ${lockOn(context, table, 'ACCESS EXCLUSIVE')}, while every row and every index is written anew: ${why}.`,
      remedy:
        column.generated === 'stored'
          ? `Add ${name} as a plain column, keep it current by a trigger, and fill the old rows in batches.`
          : [
              `ALTER TABLE ${on} ADD COLUMN ${name} …; -- without a default, and NULL`,
              `ALTER TABLE ${on} ALTER COLUMN ${name} SET DEFAULT …; -- for new rows`,
              `-- fill the old rows in batches; then SET NOT NULL by way of a CHECK that is validated first`,
            ].join('\n'),
      work: { kind: 'rewrite', table },
    };
  },
});

/** Why the rows have to be written; null where they stay. */
export function whyNewColumnRewrites({ column }: ChangeOf<'addColumn'>, context: Context): string | null {
  if (column.serial) return 'a serial column numbers every row';
  if (column.identity) return 'an identity column numbers every row';
  if (column.generated === 'stored') return 'a stored generated column is computed for every row';
  const domain = context.schema.types.get(context.schema.typeKey(column.type));
  if (domain?.kind === 'domain' && domain.constrained && !column.type.array)
    return `the constraints of the domain ${context.quote(domain.name)} are checked for every row`;
  if (column.defaultValue === null || column.defaultValue === true) return null;
  const [volatile] = volatileFunctions(column.defaultValue, context.schema);
  return volatile === undefined ? null : `${volatile}() gives every row another value`;
}

/** Whether PostgreSQL itself gives every row a value. */
export const willNumber = (column: ChangeOf<'addColumn'>['column']): boolean =>
  column.serial || column.identity || column.generated !== null;
