/**
 * Since 18 a column's NOT NULL is a constraint with a name, which pg-delta does not look at. It stays when the column is
 * renamed, so that columns of the same name and type may have it under different names.
 */
import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { SchemaState } from './difference.ts';
import type { Difference } from './fingerprint.ts';
import type { Drops } from './statements.ts';

const notNull = /^NOT NULL (?:"(?<quoted>.*)"|(?<bare>[^\s"]+))$/;

/** Statements that come after those of pg-delta. What is inherited follows its parent's. */
export function renameNotNulls(
  differences: readonly Difference[],
  from: SchemaState,
  to: SchemaState,
  drops: Drops,
): string[] {
  const wanted = [
    ...differences.map(({ object, after }) => [object, after ?? ''] as const),
    ...madeAnew(to, drops),
  ].filter(([, text]) => notNull.test(text));
  if (wanted.length === 0) return [];
  const tables = to.model.facts.facts().flatMap(({ id }) => (id.kind === 'table' ? [id] : []));
  return [...new Map(wanted)].flatMap(([object, after]) => {
    const { quoted, bare } = notNull.exec(after)?.groups ?? {};
    const column = quoted?.replaceAll('""', '"') ?? bare ?? '';
    const has = (state: SchemaState, table: string): string | undefined =>
      state.fingerprint.facts.get(`column ${table}.${column}`);
    const table = tables.find(
      ({ schema, name }) =>
        object.startsWith(`constraint ${schema}.${name}.`) && has(to, `${schema}.${name}`) !== undefined,
    );
    if (table === undefined) return [];
    const path = `${table.schema}.${table.name}`;
    const prefix = `constraint ${path}.`;
    const stays =
      / not null\b/.test(has(from, path) ?? '') &&
      !drops.tables.includes(path) &&
      !drops.columns.some((gone) => gone.table === path && gone.column === column);
    const old = differences.find(
      (other) => other.object.startsWith(prefix) && other.before === after && other.after === null,
    );
    // As PostgreSQL calls one that nobody named.
    const next = object.slice(prefix.length);
    const name = stays ? (old?.object.slice(prefix.length) ?? next) : `${table.name}_${column}_not_null`;
    if (name === next || Buffer.byteLength(name) > 63) return [];
    return [
      `ALTER TABLE ${qualify(table.schema, table.name)} RENAME CONSTRAINT ${quoteIdentifier(name)} TO ${quoteIdentifier(next)}`,
    ];
  });
}

/** Facts of tables that are dropped and are there in the end, and of those of which that holds for a column. */
function madeAnew(to: SchemaState, drops: Drops): [object: string, text: string][] {
  const paths = [...drops.tables, ...drops.columns.map(({ table }) => table)];
  return [...to.fingerprint.facts].filter(([object]) =>
    paths.some((path) => object.startsWith(`constraint ${path}.`)),
  );
}
