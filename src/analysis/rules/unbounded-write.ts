import { type Node, strings, visitNodes } from '../../sql/tree.ts';
import type { Context } from '../context.ts';
import { defineRule } from '../define-rule.ts';
import { estimate } from '../estimate.ts';

export const unboundedWrite = defineRule({
  id: 'unbounded-write',
  severity: 'caution',
  effect: null,
  summary: 'UPDATE or DELETE of all rows of an existing table, or of many rows of a large one',
  why: 'Every row that it touches stays locked to the end of the transaction, so that the application’s writes to those rows wait; old versions of the rows bloat the table, and replicas fall behind. A DELETE cannot be taken back. On a large table change the rows in batches, each in a transaction of its own: that is a data migration, not a schema migration. A WHERE that chooses rows by their values is safe until a database’s figures say that the table is large; one that only joins another table chooses none.',
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
    const where = change.kind === 'merge' ? null : change.where;
    if (context.isNew(table) || isByKey(where, table, context)) return null;
    const on = context.name(table);
    const verb = change.kind === 'merge' ? 'MERGE' : change.kind.toUpperCase();
    const chosen = where !== null && choosesRows(where);
    const gone = change.kind === 'delete' && !chosen ? ' They are gone for good.' : '';
    return {
      table,
      severity: chosen && !isLarge(table, context) ? 'safe' : 'caution',
      message:
        `${verb} holds a lock on every row ${chosen ? 'that it finds' : ''} of ${on} until the transaction ends, which blocks writes to ${chosen ? 'those rows' : 'them'}.${gone}`.replace(
          '  ',
          ' ',
        ),
      remedy: `Change the rows of ${on} in batches by key, each in a transaction of its own, and leave only the schema to the migration.`,
      work: { kind: change.kind === 'update' ? 'rewrite' : 'scan', table },
    };
  },
});

function isLarge(table: string, context: Context): boolean {
  const facts = context.factsOf(table);
  return facts !== null && estimate('rewrite', facts) > context.policy.thresholds.briefSeconds;
}

/** Whether the WHERE names the rows by a key: `id = 'x'`, `id IN (1, 2)`, alone or joined by AND. */
export function isByKey(where: Node | null, table: string, context: Context): boolean {
  const known = context.table(table);
  if (where === null || known === undefined) return false;
  const keys = new Set<string>();
  for (const key of known.indexes) {
    const index = context.schema.indexes.get(key);
    const [column] = index?.columns ?? [];
    if (index?.unique === true && !index.partial && index.columns.length === 1 && column != null)
      keys.add(column);
  }
  return conjuncts(where).some((part) => {
    const compared = asComparison(part);
    return compared !== null && keys.has(compared);
  });
}

/** Whether some part of the WHERE says something of the rows themselves, and does not only join or hold always. */
function choosesRows(where: Node): boolean {
  return conjuncts(where).some((part) => {
    if ('A_Const' in part) return part.A_Const.boolval !== undefined && part.A_Const.boolval.boolval !== true;
    if ('A_Expr' in part && strings(part.A_Expr.name).at(-1) === '=') {
      const { lexpr, rexpr } = part.A_Expr;
      if (lexpr !== undefined && rexpr !== undefined && isColumn(lexpr) && isColumn(rexpr)) return false;
    }
    return hasColumn(part);
  });
}

function conjuncts(where: Node): Node[] {
  if ('BoolExpr' in where && where.BoolExpr.boolop === 'AND_EXPR')
    return (where.BoolExpr.args ?? []).flatMap(conjuncts);
  return [where];
}

/** The column that is compared with constants, if that is what the condition does. */
function asComparison(condition: Node): string | null {
  if (!('A_Expr' in condition)) return null;
  const { kind, name, lexpr, rexpr } = condition.A_Expr;
  if (strings(name).at(-1) !== '=' || (kind !== 'AEXPR_OP' && kind !== 'AEXPR_IN')) return null;
  if (lexpr === undefined || !('ColumnRef' in lexpr) || rexpr === undefined || !isConstant(rexpr))
    return null;
  return strings(lexpr.ColumnRef.fields).at(-1) ?? null;
}

const isColumn = (node: Node): boolean => 'ColumnRef' in node;

function hasColumn(node: Node): boolean {
  let found = false;
  visitNodes([node], (kind) => {
    if (kind === 'ColumnRef' || kind === 'SubLink') found = true;
  });
  return found;
}

function isConstant(node: Node): boolean {
  if ('List' in node) return (node.List.items ?? []).every(isConstant);
  if ('TypeCast' in node) return node.TypeCast.arg !== undefined && isConstant(node.TypeCast.arg);
  return 'A_Const' in node;
}
