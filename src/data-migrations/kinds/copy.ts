import { z } from 'zod';
import type { Table } from '../../vault/table.ts';
import { onlyOf } from '../../vault/target.ts';
import { defineKind } from '../define-kind.ts';
import { conditionSql, findTable } from '../expressions.ts';
import { baseForm, columnsForm, conflictForm, destinationForm } from '../forms.ts';
import { chooseKey, sameKeySql } from '../keys.ts';
import { conflictSql, type Mapping, readMapping } from '../mapping.ts';
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
    const copied = (rows: string): string => `insert into ${mapping.into} ${select(rows, null)} ${conflict}`;
    const where = await conditionSql(places.source, table, spec.where);
    return {
      source: { table, key, where },
      written,
      removes: false,
      how:
        places.source === places.written
          ? {
              by: 'statement',
              change: (rows) => ({ with: [], sql: copied(rows) }),
            }
          : {
              by: 'transfer',
              async transfer(batch) {
                const query = select(batch.rows, batch.order);
                const changed = await stream(batch, query, { mapping, written, onConflict: spec.onConflict });
                return { changed, faults: [] };
              },
            },
      later:
        places.source === places.written && key !== null
          ? async () => ({
              when: 'after',
              body: `${copied(`${sameKeySql(key, 'new', table.sql)} and (${where}) is true`)};`,
            })
          : {
              impossible:
                key === null
                  ? 'without a key none is told from the others'
                  : 'they would have to reach another database',
            },
      check: { by: 'comparison', columns: comparedColumns(spec, mapping, written) },
      close: async () => undefined,
    };
  },
});

/** Of rows that were there already and were left as they were, only the keys have to be the same. */
function comparedColumns(
  { columns, onConflict }: z.infer<typeof form>,
  { names }: Mapping,
  { keys }: Table,
): Record<string, string> {
  const key = keys.find((one) => one.every((name) => names.includes(name))) ?? [];
  const compared = onConflict === 'skip' ? key : names;
  return Object.fromEntries(compared.map((name) => [name, columns?.[name] ?? name]));
}
