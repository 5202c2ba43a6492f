import { z } from 'zod';
import { onlyOf } from '../../vault/target.ts';
import { defineKind } from '../define-kind.ts';
import { conditionSql, findTable, tryOut } from '../expressions.ts';
import { baseForm, columnsForm, conflictForm, destinationForm, expressionText } from '../forms.ts';
import { chooseKey } from '../keys.ts';
import { conflictSql, readMapping } from '../mapping.ts';
import { stream } from '../stream.ts';

const form = z
  .strictObject({
    ...baseForm,
    kind: z.literal('archive'),
    where: expressionText.describe('Which rows; `true` for all that are there'),
    to: destinationForm,
    columns: columnsForm,
    onConflict: conflictForm
      .exclude(['skip'])
      .default('fail')
      .describe('What a row means that is in the archive already: one at fault, or one to overwrite'),
  })
  .meta({ id: 'ArchiveSpec' });

export const archive = defineKind<z.infer<typeof form>>({
  name: 'archive',
  summary: 'moves rows into another table, of the same or another database',
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
    const key = await chooseKey(places.source, table, spec.key);
    const where = await conditionSql(places.source, table, spec.where);
    const mapping = await readMapping(places, { source: table, written, columns: spec.columns });
    const values = mapping.values.map((value, n) => `${value} as v${n}`).join(', ');
    // The rows are locked from here to the end of both transactions: what is removed is what was written.
    const remove = (rows: string): string => `delete from ${onlyOf(table)} where ${rows} returning ${values}`;
    await tryOut(places.source, 'where', remove(where));
    // What was written before a crash, and may have changed where it was read, is overwritten.
    const overwriting = conflictSql(written, mapping, 'update');
    const conflict = spec.onConflict === 'fail' ? '' : overwriting;
    return {
      source: { table, key, where },
      written,
      removes: true,
      how:
        places.source === places.written
          ? {
              by: 'statement',
              change: (rows) => ({
                with: [`" gone" as (${remove(rows)})`],
                sql: `insert into ${mapping.into} select * from " gone" ${conflict}`,
              }),
            }
          : {
              by: 'transfer',
              async transfer(batch) {
                const onConflict = batch.again ? 'update' : spec.onConflict;
                const changed = await stream(batch, remove(batch.rows), { mapping, written, onConflict });
                return { changed, faults: [] };
              },
            },
      later: { impossible: 'they would be gone before anybody could read them' },
      check: { by: 'rows-left' },
      close: async () => undefined,
    };
  },
});
