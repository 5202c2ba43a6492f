import { z } from 'zod';
import { quoteIdentifier } from '../../db/quote.ts';
import { onlyOf } from '../../vault/target.ts';
import { defineKind } from '../define-kind.ts';
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

export const backfill = defineKind<z.infer<typeof form>>({
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
      close: async () => undefined,
    };
  },
});
