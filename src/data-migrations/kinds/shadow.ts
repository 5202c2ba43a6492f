import { z } from 'zod';
import { quoteIdentifier } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import type { Table } from '../../vault/table.ts';
import { onlyOf } from '../../vault/target.ts';
import { defineKind, type Work } from '../define-kind.ts';
import { columnsSql, findTable } from '../expressions.ts';
import { baseForm, columnName, expressionText } from '../forms.ts';
import { chooseKey, type Key } from '../keys.ts';
import { readAlteration } from '../shadow/alter.ts';
import { notesTable } from '../shadow/mirror.ts';
import { type Prepared, prepareShadow } from '../shadow/prepare.ts';
import { readShadow } from '../shadow/state.ts';
import { swap } from '../shadow/swap.ts';
import { findTables } from '../shadow/tables.ts';

const { where: _, ...common } = baseForm;

const form = z
  .strictObject({
    ...common,
    kind: z.literal('shadow'),
    laterRows: z
      .literal('application')
      .default('application')
      .describe('The triggers of the shadow write all rows'),
    toleratedRows: z.literal(0).default(0).describe('No row may be left behind'),
    alter: expressionText.describe(
      'What the table is to become: actions as they stand behind `ALTER TABLE name`, separated by commas',
    ),
    columns: z
      .record(
        columnName,
        z.strictObject({ forth: expressionText.optional(), back: expressionText.optional() }),
      )
      .default({})
      .describe(
        'Columns whose values change, with SQL expressions: `forth` over the columns of the table for the new form, `back` over those of the new form for the old one',
      ),
    retentionDays: z
      .int()
      .min(1)
      .max(3_650)
      .default(7)
      .describe('So long is the old table kept, and written to, so that the swap can be undone'),
  })
  .meta({ id: 'ShadowSpec' });
type Spec = z.infer<typeof form>;

export const shadow = defineKind<Spec>({
  name: 'shadow',
  summary: 'changes a table by a copy of it that takes its place',
  form,
  writtenTo: () => undefined,
  async prepare(spec, { source: session, sourceSchema, id }) {
    const state = await readShadow(session, id);
    if (state?.state === 'mirrored') {
      const { live, mirrored } = await findTables(session, state);
      const key = await chooseKey(session, live, spec.key);
      return workOf(session, spec, id, live, key, { state, shadow: mirrored });
    }
    const table = await findTable(session, { schema: spec.schema ?? sourceSchema, table: spec.table });
    const key = await chooseKey(session, table, spec.key);
    // What is left is to finish: its rows are copied.
    if (state !== null) return workOf(session, spec, id, table, key, { state, shadow: table });
    const alteration = await readAlteration(spec.alter);
    const { name, columns: given } = spec;
    return {
      ...workOf(session, spec, id, table, key, null),
      async begin(how) {
        const request = { id, name, table, key, alteration, given };
        return workOf(session, spec, id, table, key, await prepareShadow(session, request, how));
      },
    };
  },
});

/** Before it has begun there is no shadow. */
function workOf(
  session: Session,
  spec: Spec,
  id: string,
  table: Table,
  key: Key,
  prepared: Prepared | null,
): Work {
  const written = prepared?.shadow ?? table;
  const columns = prepared?.state.columns ?? { key: [], forth: [] };
  const names = columns.forth.map(({ name }) => name);
  return {
    source: { table, key, where: 'true' },
    written,
    removes: false,
    how: {
      by: 'statement',
      /**
       * The rows are locked before they are written: none of them is deleted between the two. What was mirrored is there
       * already, and is newer.
       */
      change: (rows) => ({
        with: [
          `" rows" as materialized (select ${columns.forth.map(({ name, value }) => `${value} as ${quoteIdentifier(name)}`).join(', ')} from ${onlyOf(table)} where ${rows} for key share)`,
        ],
        sql: `insert into ${written.sql} (${columnsSql(names)}) overriding system value select * from " rows" on conflict (${columnsSql(columns.key)}) do nothing`,
      }),
    },
    ...(prepared?.state.state === 'mirrored'
      ? {
          check: {
            by: 'comparison',
            columns: Object.fromEntries(
              columns.forth.map(({ name, value }) => [
                name,
                spec.columns[name]?.forth === undefined ? name : value,
              ]),
            ),
            extraRows: 'refused',
            // A note is written in the transaction that it is about: in any snapshot all other rows are the same.
            where: `(${columnsSql(columns.key)}) not in (select ${columnsSql(columns.key)} from ${notesTable({ id, direction: 'forth' })})`,
          },
        }
      : { judged: true }),
    later: { impossible: 'the triggers of the shadow write them' },
    async finish({ signal, report }) {
      await swap(session, { id, retentionDays: spec.retentionDays, signal, report });
    },
    close: async () => undefined,
  };
}
