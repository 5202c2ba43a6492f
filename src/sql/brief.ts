import type { Node } from './parse.ts';
import type { RelationName } from './relations.ts';
import type { Statement } from './split.ts';

/** They change the catalogue only, whatever the size of the tables. */
const always = new Set([
  'CreateStmt',
  'CreateEnumStmt',
  'AlterEnumStmt',
  'CreateSchemaStmt',
  'CreateSeqStmt',
  'CompositeTypeStmt',
  'CreateFunctionStmt',
  'ViewStmt',
  'RenameStmt',
  'CommentStmt',
  'GrantStmt',
  'DropStmt',
  'VariableSetStmt',
]);

/** Parts of ALTER TABLE that neither read nor rewrite the table. */
const catalogueOnly = new Set([
  'AT_ColumnDefault',
  'AT_DropNotNull',
  'AT_DropColumn',
  'AT_DropConstraint',
  'AT_ChangeOwner',
  'AT_SetStatistics',
  'AT_EnableRowSecurity',
  'AT_DisableRowSecurity',
]);

const nodeOf = (value: unknown): Node => (value !== null && typeof value === 'object' ? (value as Node) : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/**
 * Whether a statement takes no time worth showing once it has its locks. `isNew`: whether a relation was made by the
 * same file, so that it is all but empty.
 */
export function isBrief({ kind, node }: Statement, isNew: (relation: RelationName) => boolean): boolean {
  if (always.has(kind)) return true;
  if (kind !== 'AlterTableStmt' && kind !== 'IndexStmt') return false;
  const { relname, schemaname } = nodeOf(node.relation);
  if (isNew({ schema: typeof schemaname === 'string' ? schemaname : null, name: String(relname) }))
    return true;
  return (
    kind === 'AlterTableStmt' &&
    list(node.cmds).every((item) => isBriefPart(nodeOf(nodeOf(item).AlterTableCmd)))
  );
}

function isBriefPart({ subtype, def }: Node): boolean {
  if (subtype !== 'AT_AddColumn') return catalogueOnly.has(String(subtype));
  const constraints = list(nodeOf(nodeOf(def).ColumnDef).constraints).map((item) =>
    nodeOf(nodeOf(item).Constraint),
  );
  return constraints.every(
    ({ contype, raw_expr: value }) =>
      contype === 'CONSTR_NULL' ||
      contype === 'CONSTR_NOTNULL' ||
      // A constant is kept in the catalogue; a function may have to be called for every row.
      (contype === 'CONSTR_DEFAULT' && !JSON.stringify(value ?? null).includes('"FuncCall"')),
  );
}
