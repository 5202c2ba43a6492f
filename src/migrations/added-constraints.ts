/** Constraints that a rollback's text adds: rows that were written since may not hold to them. */
import { quoteIdentifier } from '../db/quote.ts';
import type { Statement } from '../sql/split.ts';
import {
  type AlterTableStmt,
  type Constraint,
  type IndexStmt,
  type RangeVar,
  relationName,
  strings,
} from '../sql/tree.ts';

/** Of one statement that does nothing else. */
export interface AddedConstraint {
  readonly kind: 'check' | 'foreignKey' | 'unique';
  /** As it is written in the statement. */
  readonly table: string;
  /** Of the constraint, or of the unique index. */
  readonly name: string;
  readonly sql: string;
  /** What is to be unique; null for a unique index, which may be on expressions. */
  readonly columns: readonly string[] | null;
  readonly nullsAreEqual: boolean;
  readonly isPrimary: boolean;
}

/** Null for any other statement, for one without a name, and for one that reads no rows. */
export function addedConstraint({ kind, node, text }: Statement): AddedConstraint | null {
  if (kind === 'IndexStmt') return uniqueIndex(node as IndexStmt, text);
  if (kind !== 'AlterTableStmt') return null;
  const { relation, cmds = [] } = node as AlterTableStmt;
  const [only, ...more] = cmds;
  if (relation === undefined || only === undefined || !('AlterTableCmd' in only) || more.length > 0)
    return null;
  const { subtype, def } = only.AlterTableCmd;
  if (subtype !== 'AT_AddConstraint' || def === undefined || !('Constraint' in def)) return null;
  const { contype = 'CONSTR_NULL', conname, skip_validation: notValid, keys, ...constraint } = def.Constraint;
  const what = kinds[contype];
  if (what === undefined || conname === undefined || notValid === true || constraint.indexname !== undefined)
    return null;
  return {
    kind: what,
    table: written(relation),
    name: conname,
    sql: text,
    columns: what === 'unique' ? strings(keys) : null,
    nullsAreEqual: constraint.nulls_not_distinct === true,
    isPrimary: contype === 'CONSTR_PRIMARY',
  };
}

const kinds: Partial<Record<NonNullable<Constraint['contype']>, AddedConstraint['kind']>> = {
  CONSTR_CHECK: 'check',
  CONSTR_FOREIGN: 'foreignKey',
  CONSTR_UNIQUE: 'unique',
  CONSTR_PRIMARY: 'unique',
};

function uniqueIndex(node: IndexStmt, sql: string): AddedConstraint | null {
  const { relation, idxname, unique, concurrent } = node;
  if (relation === undefined || idxname === undefined || unique !== true || concurrent === true) return null;
  return {
    kind: 'unique',
    table: written(relation),
    name: idxname,
    sql,
    columns: null,
    nullsAreEqual: node.nulls_not_distinct === true,
    isPrimary: false,
  };
}

function written(relation: RangeVar): string {
  const { schema, name } = relationName(relation);
  return [...(schema === null ? [] : [schema]), name].map((part) => quoteIdentifier(part)).join('.');
}
