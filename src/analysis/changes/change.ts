/**
 * What one statement changes, in words of the schema and not of the grammar: one `ALTER TABLE` with three parts is
 * three changes. Rules look at changes; the schema is carried forward by them.
 */
import type { Node } from '../../sql/tree.ts';
import type { Column, ColumnType, ConstraintKind, Index, TableKind } from '../schema/model.ts';

/** A constraint as it is written; the name is PostgreSQL's choice where none is given. */
export interface NewConstraint {
  readonly kind: ConstraintKind;
  readonly name: string;
  readonly named: boolean;
  readonly columns: readonly string[];
  readonly notValid: boolean;
  readonly enforced: boolean;
  /** An existing index that becomes the constraint's. */
  readonly usingIndex: string | null;
  readonly references: string | null;
  readonly referencedColumns: readonly string[];
  readonly expression: Node | null;
  /** Of an exclusion: what its index has beside plain columns. */
  readonly index: Pick<Index, 'columns' | 'expressionColumns' | 'partial'> | null;
  /** Byte at which it begins in the file. */
  readonly at: number | null;
}

export interface NewColumn extends Omit<Column, 'since'> {
  /** What stands behind it: REFERENCES, UNIQUE, PRIMARY KEY, CHECK. */
  readonly constraints: readonly NewConstraint[];
  readonly serial: boolean;
  readonly at: number | null;
}

/** A table whose columns a new one takes over, and what else of it. */
export interface LikeClause {
  readonly table: string;
  readonly defaults: boolean;
  readonly generated: boolean;
  readonly identity: boolean;
  readonly constraints: boolean;
  readonly indexes: boolean;
}

/** On one table (`table` is its key). */
interface OnTable {
  readonly table: string;
}
interface OnColumn extends OnTable {
  readonly column: string;
}

export type Change =
  | (OnTable & {
      readonly kind: 'createTable';
      readonly name: string;
      readonly schema: string;
      readonly tableKind: TableKind;
      readonly temporary: boolean;
      readonly ifNotExists: boolean;
      readonly columns: readonly NewColumn[];
      readonly columnsKnown: boolean;
      readonly constraints: readonly NewConstraint[];
      readonly parents: readonly string[];
      readonly isPartition: boolean;
      /** The partition for what belongs into no other. */
      readonly isDefault: boolean;
      /** Columns of a partitioned table's key; without expressions. */
      readonly partitionColumns: readonly string[];
      readonly like: readonly LikeClause[];
    })
  | (OnTable & {
      readonly kind: 'dropTable';
      readonly tableKind: TableKind;
      readonly cascade: boolean;
      readonly ifExists: boolean;
    })
  | (OnTable & { readonly kind: 'renameTable'; readonly to: string })
  | (OnTable & { readonly kind: 'moveTable'; readonly toSchema: string })
  | (OnTable & { readonly kind: 'truncate'; readonly cascade: boolean })
  | (OnTable & { readonly kind: 'addColumn'; readonly column: NewColumn; readonly ifNotExists: boolean })
  | (OnColumn & { readonly kind: 'dropColumn'; readonly cascade: boolean; readonly ifExists: boolean })
  | (OnColumn & { readonly kind: 'renameColumn'; readonly to: string })
  | (OnColumn & {
      readonly kind: 'changeType';
      readonly type: ColumnType;
      readonly using: Node | null;
      readonly collation: string | null;
      readonly at: number | null;
    })
  | (OnColumn & { readonly kind: 'setDefault'; readonly value: Node })
  | (OnColumn & { readonly kind: 'dropDefault' })
  | (OnColumn & { readonly kind: 'setNotNull' })
  | (OnColumn & { readonly kind: 'dropNotNull' })
  | (OnColumn & {
      readonly kind: 'changeGenerated';
      readonly to: 'expression' | 'plain' | 'identity' | 'noIdentity';
    })
  | (OnTable & { readonly kind: 'addConstraint'; readonly constraint: NewConstraint })
  | (OnTable & { readonly kind: 'validateConstraint'; readonly name: string })
  | (OnTable & {
      readonly kind: 'dropConstraint';
      readonly name: string;
      readonly ifExists: boolean;
      readonly cascade: boolean;
    })
  | (OnTable & { readonly kind: 'renameConstraint'; readonly name: string; readonly to: string })
  | (OnTable & {
      readonly kind: 'attachPartition';
      readonly partition: string;
      readonly isDefault: boolean;
    })
  | (OnTable & {
      readonly kind: 'detachPartition';
      readonly partition: string;
      readonly concurrently: boolean;
    })
  /** Copies the table into new files: SET LOGGED, SET TABLESPACE, SET ACCESS METHOD, CLUSTER, VACUUM FULL. */
  | (OnTable & { readonly kind: 'rewriteTable'; readonly by: string })
  | (OnTable & { readonly kind: 'refreshView'; readonly concurrently: boolean })
  | (OnTable & {
      readonly kind: 'setRowSecurity';
      readonly to: 'enabled' | 'disabled' | 'forced' | 'notForced';
    })
  | (OnTable & { readonly kind: 'switchTrigger'; readonly enabled: boolean })
  /** Anything else of ALTER TABLE: brief, and of no consequence to the schema as it is followed here. */
  | (OnTable & { readonly kind: 'alterTable'; readonly part: string })
  | (OnTable & { readonly kind: 'lockTable'; readonly mode: LockMode })
  | (OnTable & {
      readonly kind: 'createIndex';
      readonly index: string;
      readonly name: string;
      readonly named: boolean;
      readonly columns: readonly (string | null)[];
      readonly expressionColumns: readonly string[];
      readonly unique: boolean;
      readonly partial: boolean;
      readonly concurrently: boolean;
      readonly ifNotExists: boolean;
      /** ON ONLY: of a partitioned table, without its partitions. */
      readonly only: boolean;
      readonly method: string;
    })
  | {
      readonly kind: 'dropIndex';
      readonly index: string;
      readonly concurrently: boolean;
      readonly ifExists: boolean;
      readonly cascade: boolean;
    }
  | { readonly kind: 'renameIndex'; readonly index: string; readonly to: string }
  | {
      readonly kind: 'reindex';
      readonly what: 'index' | 'table' | 'schema' | 'database';
      readonly target: string;
      readonly concurrently: boolean;
    }
  | {
      readonly kind: 'createType';
      readonly type: string;
      readonly name: string;
      readonly typeKind: 'enum' | 'domain' | 'composite' | 'range';
      readonly labels: readonly string[];
      readonly base: ColumnType | null;
      readonly constrained: boolean;
    }
  | {
      readonly kind: 'addEnumValue';
      readonly type: string;
      readonly label: string;
      readonly ifNotExists: boolean;
      readonly placed: boolean;
    }
  | { readonly kind: 'renameEnumValue'; readonly type: string; readonly label: string; readonly to: string }
  | { readonly kind: 'renameType'; readonly type: string; readonly to: string }
  | {
      readonly kind: 'dropType';
      readonly type: string;
      readonly cascade: boolean;
      readonly ifExists: boolean;
    }
  | {
      readonly kind: 'constrainDomain';
      readonly type: string;
      readonly what: 'check' | 'notNull';
      readonly notValid: boolean;
    }
  | { readonly kind: 'validateDomain'; readonly type: string; readonly name: string }
  | {
      readonly kind: 'createView';
      readonly view: string;
      readonly name: string;
      readonly schema: string;
      readonly replace: boolean;
      readonly temporary: boolean;
    }
  | {
      readonly kind: 'createFunction';
      readonly function: string;
      readonly name: string;
      readonly volatility: 'immutable' | 'stable' | 'volatile';
      readonly language: string;
      readonly body: string;
      readonly definition: string;
      readonly replace: boolean;
    }
  | {
      readonly kind: 'dropFunction';
      readonly function: string;
      readonly cascade: boolean;
      readonly ifExists: boolean;
    }
  | (OnTable & { readonly kind: 'createTrigger'; readonly name: string })
  | (OnTable & { readonly kind: 'dropTrigger'; readonly name: string; readonly cascade: boolean })
  | { readonly kind: 'createSchema'; readonly schema: string }
  | { readonly kind: 'renameSchema'; readonly schema: string; readonly to: string }
  | {
      readonly kind: 'dropSchema';
      readonly schema: string;
      readonly cascade: boolean;
      readonly ifExists: boolean;
    }
  | { readonly kind: 'dropDatabase'; readonly database: string }
  | { readonly kind: 'dropOther'; readonly what: string; readonly name: string; readonly cascade: boolean }
  | {
      readonly kind: 'extension';
      readonly name: string;
      readonly action: 'create' | 'update' | 'drop';
      readonly cascade: boolean;
    }
  | (OnTable & {
      readonly kind: 'insert';
      readonly fromTables: readonly string[];
      readonly columnsNamed: boolean;
    })
  | (OnTable & {
      readonly kind: 'update';
      readonly where: Node | null;
      readonly columns: readonly string[];
      readonly fromTables: readonly string[];
    })
  | (OnTable & {
      readonly kind: 'delete';
      readonly where: Node | null;
      readonly fromTables: readonly string[];
    })
  | (OnTable & { readonly kind: 'merge' })
  | (OnTable & { readonly kind: 'copy' })
  | { readonly kind: 'select'; readonly functions: readonly string[]; readonly fromTables: readonly string[] }
  /** `value` is null for RESET and DEFAULT. */
  | {
      readonly kind: 'setting';
      readonly name: string;
      readonly value: string | null;
      readonly local: boolean;
    }
  | { readonly kind: 'transaction'; readonly action: 'begin' | 'commit' | 'rollback' | 'other' }
  | { readonly kind: 'vacuum'; readonly full: boolean; readonly tables: readonly string[] }
  | { readonly kind: 'privileges'; readonly revoke: boolean }
  /** Statements in code that only its execution would show. */
  | { readonly kind: 'dynamic'; readonly text: string }
  | { readonly kind: 'other'; readonly statement: string };

export type ChangeKind = Change['kind'];
export type ChangeOf<K extends ChangeKind> = Extract<Change, { kind: K }>;

/** The table-level lock modes, weakest first. Source: PostgreSQL manual, 13.3 Explicit Locking. */
export const lockModes = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;
export type LockMode = (typeof lockModes)[number];
