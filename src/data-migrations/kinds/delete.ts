import { z } from 'zod';
import { onlyOf } from '../../vault/target.ts';
import { defineKind } from '../define-kind.ts';
import { conditionSql, findTable, tryOut } from '../expressions.ts';
import { baseForm, expressionText } from '../forms.ts';
import { chooseKey } from '../keys.ts';

const form = z
  .strictObject({
    ...baseForm,
    kind: z.literal('delete'),
    where: expressionText.describe('Which rows; `true` for all that are there'),
  })
  .meta({ id: 'DeleteSpec' });

export const deletion = defineKind<z.infer<typeof form>>({
  name: 'delete',
  summary: 'deletes rows of a table',
  form,
  writtenTo: () => undefined,
  async prepare(spec, { source: session, sourceSchema }) {
    const table = await findTable(session, { schema: spec.schema ?? sourceSchema, table: spec.table });
    const key = await chooseKey(session, table, spec.key);
    const where = await conditionSql(session, table, spec.where);
    const sql = (rows: string): string => `delete from ${onlyOf(table)} where ${rows}`;
    await tryOut(session, 'where', sql(where));
    return {
      source: { table, key, where },
      written: table,
      removes: true,
      how: { by: 'statement', change: (rows) => ({ with: [], sql: sql(rows) }) },
      later: { impossible: 'they would be gone before anybody could read them' },
      check: { by: 'rows-left' },
      close: async () => undefined,
    };
  },
});
