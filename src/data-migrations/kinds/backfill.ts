import { z } from 'zod';
import { quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import type { Table } from '../../vault/table.ts';
import { onlyOf } from '../../vault/target.ts';
import { defineKind, type LaterChange } from '../define-kind.ts';
import { conditionSql, expressionSql, findTable, invalid, requireWritable, tryOut } from '../expressions.ts';
import { baseForm, columnName, expressionText } from '../forms.ts';
import { chooseKey } from '../keys.ts';

const form = z
  .strictObject({
    ...baseForm,
    kind: z.literal('backfill'),
    set: z
      .record(columnName, expressionText)
      .refine((set) => Object.keys(set).length > 0, 'at least one column')
      .describe('Columns with the SQL expression, over the columns of the row, that each is set to'),
  })
  .meta({ id: 'BackfillSpec' });

type Spec = z.infer<typeof form>;

export const backfill = defineKind<Spec>({
  name: 'backfill',
  summary: 'sets columns of a table to SQL expressions',
  form,
  writtenTo: () => undefined,
  async prepare(spec, { source: session, sourceSchema }) {
    const table = await findTable(session, { schema: spec.schema ?? sourceSchema, table: spec.table });
    const key = await chooseKey(session, table, spec.key);
    requireWritable(table, Object.keys(spec.set), false);
    const assignments: string[] = [];
    for (const [name, text] of Object.entries(spec.set)) {
      const of = `the column ${name}`;
      if (key.columns.some((column) => column.name === name))
        throw invalid(of, 'it is part of the key by which the rows are gone through');
      const assignment = `${quoteIdentifier(name)} = ${await expressionSql(of, text)}`;
      await tryOut(session, of, `update ${onlyOf(table)} set ${assignment} where false`);
      assignments.push(assignment);
    }
    const where = await conditionSql(session, table, spec.where);
    return {
      source: { table, key, where },
      written: table,
      removes: false,
      how: {
        by: 'statement',
        change: (rows) => ({
          with: [],
          sql: `update ${onlyOf(table)} set ${assignments.join(', ')} where ${rows}`,
        }),
      },
      later: () => settingLater(session, table, spec),
      check: { by: 'rows-left' },
      close: async () => undefined,
    };
  },
});

/**
 * What PostgreSQL generates it generates after triggers that come before the row: an expression over that finds no such
 * column here.
 */
async function settingLater(session: Session, table: Table, { set, where }: Spec): Promise<LaterChange> {
  const own = table.columns
    .filter(({ generated }) => generated === '')
    .map(({ name }) => quoteIdentifier(name));
  const names = Object.keys(set).map((name) => quoteIdentifier(name));
  const values: string[] = [];
  for (const [name, text] of Object.entries(set))
    values.push(await expressionSql(`the column ${name}`, text));
  const needed = where === undefined ? '' : ` where (${await expressionSql('where', where)}) is true`;
  const from = (row: string): string => `from (${row}) as ${quoteIdentifier(table.name)}${needed}`;
  const rows = `select ${own.join(', ')} from ${onlyOf(table)}`;
  await tryOut(session, 'laterRows', `select ${values.join(', ')} ${from(rows)}`);
  const row = `select ${own.map((name) => `new.${name} as ${name}`).join(', ')}`;
  return {
    when: 'before',
    body: `select ${values.map((value, n) => `${value} as ${names[n]}`).join(', ')} into " row" ${from(row)};
      if found then ${names.map((name) => `new.${name} := " row".${name};`).join(' ')} end if;`,
  };
}
