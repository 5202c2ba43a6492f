import { z } from 'zod';
import { onlyOf } from '../../vault/target.ts';
import { defineKind } from '../define-kind.ts';
import { conditionSql, findTable } from '../expressions.ts';
import { baseForm, columnsForm, conflictForm, destinationForm } from '../forms.ts';
import { chooseKey } from '../keys.ts';
import { conflictSql, readMapping } from '../mapping.ts';
import { stream } from '../stream.ts';

const form = z
  .strictObject({
    ...baseForm,
    kind: z.literal('copy'),
    to: destinationForm,
    columns: columnsForm,
    onConflict: conflictForm
      .default('fail')
      .describe('What a row means that is there already: one at fault, one to leave, one to overwrite'),
    from: z
      .enum(['live', 'snapshot'])
      .default('live')
      .describe(
        '`snapshot`: all rows in one transaction, as they are at its begin; for tables without a unique key',
      ),
  })
  .meta({ id: 'CopySpec' });

export const copy = defineKind<z.infer<typeof form>>({
  name: 'copy',
  summary: 'copies rows into another table, of the same or another database',
  form,
  writtenTo: ({ to }) => to.database,
  async prepare(spec, places) {
    const table = await findTable(places.source, {
      schema: spec.schema ?? places.sourceSchema,
      table: spec.table,
    });
    const written = await findTable(places.written, {
      schema: spec.to.schema ?? places.writtenSchema,
      table: spec.to.table,
    });
    const key = spec.from === 'snapshot' ? null : await chooseKey(places.source, table, spec.key);
    const mapping = await readMapping(places, { source: table, written, columns: spec.columns });
    const conflict = conflictSql(written, mapping, spec.onConflict);
    const select = (rows: string, order: string | null): string =>
      `select ${mapping.values.join(', ')} from ${onlyOf(table)} where ${rows}${order === null ? '' : ` order by ${order}`}`;
    return {
      source: { table, key, where: await conditionSql(places.source, table, spec.where) },
      written,
      removes: false,
      how:
        places.source === places.written
          ? {
              by: 'statement',
              change: (rows) => ({
                with: [],
                sql: `insert into ${mapping.into} ${select(rows, null)} ${conflict}`,
              }),
            }
          : {
              by: 'transfer',
              async transfer(batch) {
                const query = select(batch.rows, batch.order);
                const changed = await stream(batch, query, { mapping, written, onConflict: spec.onConflict });
                return { changed, faults: [] };
              },
            },
      close: async () => undefined,
    };
  },
});
