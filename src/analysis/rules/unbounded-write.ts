import { type Node, strings } from '../../sql/tree.ts';
import type { Context } from '../context.ts';
import { defineRule } from '../define-rule.ts';

export const unboundedWrite = defineRule({
  id: 'unbounded-write',
  severity: 'caution',
  effect: null,
  summary: 'UPDATE or DELETE on an existing table that is not limited to rows with given keys',
  why: 'Every row that it touches stays locked to the end of the transaction, so that the application’s writes to those rows wait; old versions of the rows bloat the table, and replicas fall behind. On a large table change the rows in batches, each in a transaction of its own: that is a data migration, not a schema migration.',
  peers: [
    'postgres-language-server: banUpdateWithoutWhere',
    'postgres-language-server: banDeleteWithoutWhere',
    'strong_migrations: backfill (ActiveRecord inside DDL)',
    'Bytebase: statement: where-require-update-delete',
    'Bytebase: statement: affected-row-limit',
    'pg-schema-diff: IMPACTS_DATABASE_PERFORMANCE',
  ],
  on: ['update', 'delete', 'merge'],
  check(change, context) {
    const { table } = change;
    if (context.isNew(table)) return null;
    const on = context.name(table);
    if (change.kind !== 'merge' && isBounded(change.where, table, context)) return null;
    const verb = change.kind === 'merge' ? 'MERGE' : change.kind.toUpperCase();
    const all = change.kind !== 'merge' && change.where === null ? 'every row' : 'every row that it finds';
    return {
      table,
      message: `${verb} holds a lock on ${all} of ${on} until the transaction ends, which blocks writes to those rows.`,
      remedy: `Change the rows of ${on} in batches by key, each in a transaction of its own, and leave only the schema to the migration.`,
      work: { kind: change.kind === 'update' ? 'rewrite' : 'scan', table },
    };
  },
});

/** Whether the WHERE names the rows by a key: `id = 'x'`, `id IN (1, 2)`, alone or joined by AND. */
export function isBounded(where: Node | null, table: string, context: Context): boolean {
  const known = context.table(table);
  if (where === null || known === undefined) return false;
  const keys = new Set(
    [...known.constraints.values()].flatMap(({ kind, columns }) =>
      (kind === 'primary' || kind === 'unique') && columns.length === 1 ? columns : [],
    ),
  );
  for (const key of known.indexes) {
    const index = context.schema.indexes.get(key);
    const [column] = index?.columns ?? [];
    if (index?.unique === true && !index.partial && index.columns.length === 1 && column != null)
      keys.add(column);
  }
  return names(where, keys);
}

function names(where: Node, keys: ReadonlySet<string>): boolean {
  if ('BoolExpr' in where && where.BoolExpr.boolop === 'AND_EXPR')
    return (where.BoolExpr.args ?? []).some((part) => names(part, keys));
  if (!('A_Expr' in where)) return false;
  const { kind, name, lexpr, rexpr } = where.A_Expr;
  if (strings(name).at(-1) !== '=' || (kind !== 'AEXPR_OP' && kind !== 'AEXPR_IN')) return false;
  const column =
    lexpr !== undefined && 'ColumnRef' in lexpr ? strings(lexpr.ColumnRef.fields).at(-1) : undefined;
  return column !== undefined && keys.has(column) && rexpr !== undefined && isConstant(rexpr);
}

function isConstant(node: Node): boolean {
  if ('List' in node) return (node.List.items ?? []).every(isConstant);
  if ('TypeCast' in node) return node.TypeCast.arg !== undefined && isConstant(node.TypeCast.arg);
  return 'A_Const' in node;
}
