import { z } from 'zod';
import type { Table } from '../../vault/table.ts';
import { onlyOf } from '../../vault/target.ts';
import { defineKind, type KeyedSource, type KindPlaces, type Transfer, type Work } from '../define-kind.ts';
import { columnsSql, conditionSql, findTable, invalid, requireWritable, tryOut } from '../expressions.ts';
import { baseForm, columnName, conflictForm, destinationForm } from '../forms.ts';
import { chooseKey } from '../keys.ts';
import { conflictSql } from '../mapping.ts';
import { describeColumns } from '../transform/columns.ts';
import { findModule, transformName } from '../transform/find-module.ts';
import { inPlace, inputSql, stagedSql, versionColumn } from '../transform/in-place.ts';
import { type IntoTable, intoTable, remakeRows } from '../transform/into-table.ts';
import type { Shape, Transformer } from '../transform/request.ts';
import { openTransformer } from '../transform/transformer.ts';

const columnNames = z.array(columnName).min(1).max(1_600);

const form = z
  .strictObject({
    ...baseForm,
    kind: z.literal('transform'),
    module: z.string().regex(transformName).describe('Its name in the configured folder, without `.mjs`'),
    parameters: z
      .record(z.string(), z.unknown())
      .default({})
      .describe("What the module is given as its second argument's `parameters`"),
    reads: columnNames
      .optional()
      .describe('Columns that the module is given, beside those of the key; by default all'),
    writes: columnNames
      .optional()
      .describe(
        'Columns that are written; by default all of the other table. In place they have to be named, and are none of the key',
      ),
    to: destinationForm.optional().describe('Without it the rows are changed where they are'),
    onConflict: conflictForm
      .optional()
      .describe(
        'With `to`: what a row means that is there already: one at fault (by default), one to leave, one to overwrite',
      ),
    threads: z
      .strictObject({
        threads: z.int().min(1).max(16).default(2).describe('In which the module runs at once'),
        memoryMb: z.int().min(16).max(4_096).default(256).describe('Of one thread'),
        callMs: z.int().min(100).max(50_000).default(30_000).describe('For one call of the module'),
      })
      .prefault({}),
  })
  .refine(({ to, writes }) => to !== undefined || writes !== undefined, {
    path: ['writes'],
    message: 'in place, the columns that are written have to be named',
  })
  .refine(({ to, onConflict }) => to !== undefined || onConflict === undefined, {
    path: ['onConflict'],
    message: 'in place there are no conflicts',
  })
  .meta({ id: 'TransformSpec' });

type Spec = z.infer<typeof form>;

export const transform = defineKind<Spec>({
  name: 'transform',
  summary: 'has a JavaScript module change rows, in place or into another table',
  form,
  writtenTo: ({ to }) => to?.database,
  async prepare(spec, places) {
    const { module: name, parameters, threads: limits } = spec;
    const module = await findModule(places.transforms, name, places.code);
    const table = await findTable(places.source, {
      schema: spec.schema ?? places.sourceSchema,
      table: spec.table,
    });
    const key = await chooseKey(places.source, table, spec.key);
    const source = { table, key, where: await conditionSql(places.source, table, spec.where) };
    const { shape, written, transferBy, check } =
      spec.to === undefined ? await changing(spec, places, source) : await writing(spec, places, source);
    const transformer = await openTransformer({ module, shape, context: { parameters }, limits });
    return {
      source,
      written,
      removes: false,
      how: { by: 'transfer', transfer: transferBy(transformer) },
      later: { impossible: 'PostgreSQL cannot run the module' },
      code: module.hash,
      ...check(transformer),
      close: () => transformer.close(),
    };
  },
});

interface Way {
  readonly shape: Shape;
  readonly written: Table;
  readonly transferBy: (transformer: Transformer) => Transfer;
  readonly check: (transformer: Transformer) => Pick<Work, 'check'>;
}

async function changing(spec: Spec, { source: session }: KindPlaces, source: KeyedSource): Promise<Way> {
  const { table, key } = source;
  const output = spec.writes ?? [];
  requireWritable(table, output, false);
  const keyed = output.find((name) => key.columns.some((column) => column.name === name));
  if (keyed !== undefined)
    throw invalid(`the column ${keyed}`, 'it is part of the key by which the rows are gone through');
  const place = { source, input: inputOf(spec, source), output };
  const nothing = output.map((name) => `${columnsSql([name])} = null`).join(', ');
  await tryOut(session, 'writes', `update ${onlyOf(table)} set ${nothing} where false`);
  return {
    shape: {
      input: await describeColumns(session, `select ${inputSql(place)} from ${onlyOf(table)}`),
      output: await describeColumns(session, stagedSql(place)),
      key: key.columns.map(({ name }) => ({ input: name, output: name })),
      hidden: [versionColumn],
    },
    written: table,
    transferBy: (transformer) => inPlace(place, transformer),
    check: () => ({ check: { by: 'rows-left' } }),
  };
}

async function writing(spec: Spec, places: KindPlaces, source: KeyedSource): Promise<Way> {
  const { to, onConflict = 'fail' } = spec;
  const written = await findTable(places.written, {
    schema: to?.schema ?? places.writtenSchema,
    table: to?.table ?? '',
  });
  const output =
    spec.writes ?? written.columns.filter(({ generated }) => generated === '').map(({ name }) => name);
  requireWritable(written, output, true);
  conflictSql(written, { names: output }, onConflict);
  const input = inputOf(spec, source);
  const { table, key } = source;
  const place = { source, input, written, output, onConflict };
  return {
    shape: {
      input: await describeColumns(places.source, `select ${columnsSql(input)} from ${onlyOf(table)}`),
      output: await describeColumns(places.written, `select ${columnsSql(output)} from ${onlyOf(written)}`),
      key: key.columns.map(({ name }) => ({ input: name, output: output.includes(name) ? name : null })),
      hidden: [],
    },
    written,
    transferBy: (transformer) => intoTable(place, transformer),
    check: (transformer) => keysThere(place, transformer),
  };
}

/**
 * The keys are compared in full, where they are written. What the module makes of a row nobody else can tell: it makes some
 * once more, but where rows that were there before were left alone.
 */
function keysThere(place: IntoTable, transformer: Transformer): Pick<Work, 'check'> {
  const { source, output, onConflict } = place;
  const names = source.key.columns.map(({ name }) => name);
  if (names.some((name) => !output.includes(name))) return {};
  const columns = Object.fromEntries(names.map((name) => [name, name]));
  const remake = onConflict === 'skip' ? {} : { remake: remakeRows(place, transformer) };
  return { check: { by: 'comparison', columns, ...remake } };
}

/** @throws AppError `MAPPING_INVALID` */
function inputOf({ reads }: Spec, { table, key }: KeyedSource): string[] {
  const all = table.columns.map(({ name }) => name);
  const missing = reads?.find((name) => !all.includes(name));
  if (missing !== undefined)
    throw invalid(
      `the column ${missing}`,
      `${table.schema}.${table.name} has no such column; it has ${all.join(', ')}`,
    );
  return [...new Set([...key.columns.map(({ name }) => name), ...(reads ?? all)])];
}
