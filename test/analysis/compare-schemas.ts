/** What a schema says, as lines of text, so that two can be compared and a difference be read. */

import type { ColumnType, Table } from '../../src/analysis/schema/model.ts';
import { Schema } from '../../src/analysis/schema/schema.ts';
import { walkStatement } from '../../src/analysis/walk.ts';
import { splitStatements } from '../../src/sql/split.ts';

/** The schema that the analyser follows through the texts, one migration each. */
export function walk(texts: readonly string[], defaultSchema = 'public'): Schema {
  const schema = new Schema({ defaultSchema, complete: true });
  texts.forEach((text, number) => {
    for (const statement of splitStatements(text)) walkStatement(statement, schema, number, () => undefined);
    schema.searchPath = schema.defaultPath;
  });
  return schema;
}

/** Differences between a live schema and the one that was followed; none where they are equal. */
export function differences(live: Schema, followed: Schema): string[] {
  const unknown = new Set(
    [...followed.tables.values()].filter((table) => !table.columnsKnown).map(({ key }) => key),
  );
  const there = new Set(facts(live, unknown));
  const said = new Set(facts(followed, unknown));
  return [
    ...[...there].filter((fact) => !said.has(fact)).map((fact) => `- ${fact}`),
    ...[...said].filter((fact) => !there.has(fact)).map((fact) => `+ ${fact}`),
  ].sort((a, b) => (a.slice(2) < b.slice(2) ? -1 : 1));
}

function facts(schema: Schema, unknown: ReadonlySet<string>): string[] {
  const tables = [...schema.tables.values()].filter(
    ({ name, temporary }) => name !== '_prisma_migrations' && !temporary,
  );
  return [
    ...tables.flatMap((table) => factsOfTable(table, schema, unknown.has(table.key))),
    ...[...schema.types.values()].map(
      ({ key, kind, labels, base, constrained }) =>
        `type ${key}: ${kind} ${[...labels].sort().join(' ')} ${typeText(base)} ${constrained}`,
    ),
    ...[...schema.functions.values()].map(
      ({ key, volatility, language }) => `function ${key}: ${volatility} ${language}`,
    ),
    ...[...schema.schemas].map((name) => `schema ${name}`),
  ];
}

function factsOfTable(table: Table, schema: Schema, columnsUnknown: boolean): string[] {
  const { key } = table;
  const constraints = [...table.constraints.values()].filter(
    ({ kind, valid }) => kind !== 'notNull' || !valid,
  );
  return [
    `${key}: ${table.kind} of ${[...table.parents].sort().join(' ')}${table.isDefault ? ' by default' : ''} by ${table.partitionColumns.join(' ')}`,
    ...(columnsUnknown ? [] : [...table.columns.values()]).map(
      (column) =>
        `${key} column ${column.name}: ${typeText(column.type)}${column.notNull ? ' not null' : ''}` +
        `${column.defaultValue === null ? '' : ' default'} ${column.generated ?? ''}${column.identity ? ' identity' : ''}` +
        ` ${column.collation ?? ''}`,
    ),
    ...constraints.map(
      ({ name, kind, columns, valid, references, referencedColumns, expression }) =>
        `${key} constraint ${name}: ${kind} ${(kind === 'check' ? [...columns].sort() : columns).join(', ')}` +
        `${valid ? '' : ' not valid'} ${references ?? ''} ${referencedColumns.join(', ')}${expression === null ? '' : ' expression'}`,
    ),
    ...[...table.indexes].map((name) => {
      const index = schema.indexes.get(name);
      return index === undefined
        ? `${key} index ${name}: missing`
        : `${key} index ${name}: ${index.table} ${index.columns.map((column) => column ?? '(…)').join(', ')}` +
            `${index.unique ? ' unique' : ''}${index.partial ? ' partial' : ''} | ${[...index.expressionColumns].sort().join(', ')}`;
    }),
  ];
}

const typeText = (type: ColumnType | null): string =>
  type === null
    ? ''
    : `${type.schema ?? '-'}.${type.name}(${type.modifiers.join(', ')})${type.array ? '[]' : ''}`;
