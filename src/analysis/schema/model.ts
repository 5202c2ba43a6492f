/**
 * What the analyser knows of a database: tables, columns, types, constraints and indexes, as the statements so far have
 * made them, or as they were read from a live catalogue. Everything has the number of the migration that made it, so
 * that "existed before this migration" is a comparison of two numbers. Mutable: one pass over a folder changes it.
 */
import type { Node } from '../../sql/tree.ts';

/** A type as it is written, without the typing of `pg_catalog`. */
export interface ColumnType {
  /** `int4`, `varchar`, `Status`: PostgreSQL's own name, or the user's. */
  readonly name: string;
  readonly schema: string | null;
  readonly modifiers: readonly number[];
  readonly array: boolean;
}

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly notNull: boolean;
  /** The expression, where one is known; `true` where only its existence is known. */
  readonly defaultValue: Node | true | null;
  readonly generated: 'stored' | 'virtual' | null;
  readonly identity: boolean;
  readonly collation: string | null;
  readonly since: number;
}

export type ConstraintKind = 'primary' | 'unique' | 'foreign' | 'check' | 'exclusion' | 'notNull';

export interface Constraint {
  readonly name: string;
  readonly kind: ConstraintKind;
  /** The columns that it names; for a check those in its expression. */
  readonly columns: readonly string[];
  readonly valid: boolean;
  /** The table that a foreign key points to. */
  readonly references: string | null;
  readonly referencedColumns: readonly string[];
  readonly expression: Node | null;
  readonly since: number;
}

export interface Index {
  readonly key: string;
  readonly name: string;
  /** Key of its table. */
  readonly table: string;
  /** An expression is null. */
  readonly columns: readonly (string | null)[];
  /** Columns in its expressions and in its WHERE. */
  readonly expressionColumns: readonly string[];
  readonly unique: boolean;
  readonly partial: boolean;
  readonly since: number;
}

export type TableKind = 'table' | 'partitioned' | 'materialized' | 'foreign' | 'view';

export interface Table {
  readonly key: string;
  readonly schema: string;
  readonly name: string;
  readonly kind: TableKind;
  readonly temporary: boolean;
  readonly since: number;
  /** Empty where they could not be known (`create table as`). */
  readonly columns: Map<string, Column>;
  readonly columnsKnown: boolean;
  readonly constraints: Map<string, Constraint>;
  /** Keys of its indexes. */
  readonly indexes: Set<string>;
  /** Keys of the tables of which it is a partition or a child. */
  readonly parents: readonly string[];
  /** The DEFAULT partition. */
  readonly isDefault: boolean;
  /** Columns of a partitioned table's key; without expressions. */
  readonly partitionColumns: readonly string[];
}

export interface UserType {
  readonly key: string;
  readonly name: string;
  readonly kind: 'enum' | 'domain' | 'composite' | 'range';
  /** Labels of an enum. */
  readonly labels: readonly string[];
  /** Of a domain. */
  readonly base: ColumnType | null;
  readonly constrained: boolean;
  readonly since: number;
}

export interface UserFunction {
  readonly key: string;
  readonly name: string;
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  readonly language: string;
  readonly body: string;
  /** The whole statement that made it; empty where only the catalogue is known. */
  readonly definition: string;
  readonly since: number;
}
