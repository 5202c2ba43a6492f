/**
 * What was read of a live database's catalogue: plain data, fit for JSON. `src/db` reads it, `src/analysis` makes a
 * schema and facts of it; neither knows the other.
 */

/** A type by PostgreSQL's own name for it (`int4`, `varchar`). */
export interface CatalogueType {
  readonly name: string;
  /** Null for pg_catalog. */
  readonly schema: string | null;
  /** As they stand in the parentheses of the grammar; of `numeric` always two. */
  readonly modifiers: readonly number[];
  readonly array: boolean;
}

export interface CatalogueName {
  readonly schema: string;
  readonly name: string;
}

export interface CatalogueColumn {
  readonly name: string;
  readonly type: CatalogueType;
  readonly notNull: boolean;
  /** SQL; true where only its existence is known. */
  readonly defaultValue: string | true | null;
  readonly generated: 'stored' | 'virtual' | null;
  readonly identity: boolean;
  /** Only where it is not the type's own. */
  readonly collation: string | null;
}

export interface CatalogueConstraint {
  readonly name: string;
  readonly kind: 'primary' | 'unique' | 'foreign' | 'check' | 'exclusion' | 'notNull';
  /** Without those that are expressions. */
  readonly columns: readonly string[];
  readonly valid: boolean;
  readonly references: CatalogueName | null;
  readonly referencedColumns: readonly string[];
  /** SQL of a check; null where it could not be read without waiting for a lock. */
  readonly expression: string | null;
}

export interface CatalogueIndex {
  readonly name: string;
  /** Of the key; an expression is null. */
  readonly columns: readonly (string | null)[];
  /** In its expressions and in its WHERE. */
  readonly expressionColumns: readonly string[];
  readonly unique: boolean;
  readonly partial: boolean;
  readonly valid: boolean;
}

/** Estimates, as old as the last VACUUM or ANALYZE; counters since the statistics were last reset. */
export interface CatalogueFigures {
  /** -1 where the table was never analysed. */
  readonly rows: number;
  readonly bytes: number;
  readonly indexBytes: number;
  readonly reads: number;
  readonly writes: number;
}

export interface CatalogueTable extends CatalogueName {
  readonly kind: 'table' | 'partitioned' | 'materialized' | 'foreign' | 'view';
  readonly parents: readonly CatalogueName[];
  /** The DEFAULT partition. */
  readonly isDefault: boolean;
  /** Columns of a partitioned table's key; without expressions. */
  readonly partitionColumns: readonly string[];
  readonly columns: readonly CatalogueColumn[];
  readonly constraints: readonly CatalogueConstraint[];
  readonly indexes: readonly CatalogueIndex[];
  readonly figures: CatalogueFigures;
}

export interface CatalogueUserType extends CatalogueName {
  readonly kind: 'enum' | 'domain' | 'composite' | 'range';
  /** In their order. */
  readonly labels: readonly string[];
  readonly base: CatalogueType | null;
  /** A domain with NOT NULL or a check. */
  readonly constrained: boolean;
}

export interface CatalogueFunction extends CatalogueName {
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  readonly language: string;
  /** Empty for languages other than SQL and PL/pgSQL, and for SQL bodies that are stored parsed. */
  readonly body: string;
  /** The whole CREATE FUNCTION, of PL/pgSQL only; else empty. */
  readonly definition: string;
}

export interface Catalogue {
  /** As `server_version_num`: 150018 is 15.18. */
  readonly serverVersion: number;
  /** Of the session as it was connected. */
  readonly timeZone: string;
  readonly schemas: readonly string[];
  readonly tables: readonly CatalogueTable[];
  readonly types: readonly CatalogueUserType[];
  readonly functions: readonly CatalogueFunction[];
  readonly extensions: readonly string[];
}
