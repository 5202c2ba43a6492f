/** What a statement removes, in the vault's words: whoever reads statements derives it from them. */

/** As it is written: without a schema, it is looked for along the session's search_path. */
export interface WrittenName {
  readonly schema: string | null;
  readonly name: string;
}

export type Removal =
  /** `DROP TABLE`, of nothing but tables. Saving takes the statement's place: it is not to be run any more. */
  | { readonly kind: 'dropTables'; readonly sql: string; readonly tables: readonly WrittenName[] }
  /** Any other DROP that can take tables, columns or sequences with it: SCHEMA, TYPE, DOMAIN, EXTENSION, OWNED, SEQUENCE. */
  | { readonly kind: 'drop'; readonly sql: string }
  /** `ALTER TABLE … DROP COLUMN`: all of one statement and one table together. */
  | { readonly kind: 'dropColumns'; readonly table: WrittenName; readonly columns: readonly string[] }
  /** A column that is narrowed or gets another type; with `labels`, only its rows that have one of them. */
  | {
      readonly kind: 'values';
      readonly table: WrittenName;
      readonly columns: readonly string[];
      readonly labels?: readonly string[];
    }
  /** `TRUNCATE`, and a DELETE of everything: the tables are copied. */
  | {
      readonly kind: 'rows';
      /** With `only`, without child tables. */
      readonly tables: readonly (WrittenName & { readonly only?: boolean })[];
      readonly cascade: boolean;
      readonly restartsSequences: boolean;
    }
  /** `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `COPY`: row triggers write down what it does to these and to what they reach. */
  | {
      readonly kind: 'changes';
      readonly tables: readonly WrittenName[];
      /** Called by it: they may write to further tables. */
      readonly functions?: readonly WrittenName[];
      /** It writes to nothing but new columns: there is something to keep only where triggers or rules do more. */
      readonly unlessPlain?: boolean;
    }
  /** `setval`, `ALTER SEQUENCE … RESTART`; with `column`, the sequence of that column of the table named. */
  | { readonly kind: 'sequence'; readonly sequence: WrittenName; readonly column?: string }
  /** A DO block, a CALL, a function: tried first, to see what it does. `tables` are those that its text shows it writes to. */
  | {
      readonly kind: 'opaque';
      readonly sql: string;
      readonly tables: readonly WrittenName[];
      readonly functions?: readonly WrittenName[];
    }
  /** An attribute of a composite type that goes: out of every value of that type, wherever one is. */
  | { readonly kind: 'attributes'; readonly type: WrittenName }
  /** Nothing of it can be kept, whatever there is. */
  | { readonly kind: 'unkept'; readonly because: string };

export interface QualifiedName {
  readonly schema: string;
  readonly name: string;
}

/** What a statement has called otherwise. Tables and sequences are relations. Null: it was not there before, or is not after it. */
export type Naming =
  | { readonly kind: 'schema'; readonly from: string; readonly to: string }
  | { readonly kind: 'relation'; readonly from: QualifiedName | null; readonly to: QualifiedName }
  | {
      readonly kind: 'column';
      readonly table: QualifiedName;
      readonly from: string | null;
      readonly to: string | null;
    };

export type Direction = 'forth' | 'back';

export interface VaultContext {
  /** The deployment or the rollback that removes. */
  readonly operation: string;
  readonly migration: string;
  /** Whether the migration is applied, or taken back. */
  readonly direction: Direction;
  /** 1-based number of the statement in the file. */
  readonly statement: number;
  readonly retentionDays: number;
  /** All that the vault may hold in this database; null for no limit. */
  readonly limitBytes: number | null;
  /** Of the statements before this one, in their order: what is kept is kept by the names from before the migration. */
  readonly namings?: readonly Naming[];
  /** Whether code does what no rollback takes back: such is not tried before it is carried out. */
  readonly actsOutside?: (code: string) => boolean;
}

export interface Saved {
  /** Ids of the entries made so far. */
  readonly entries: readonly string[];
  /** Whether the statement has been carried out by this, so that it must not be run. */
  readonly replaces: boolean;
  /** Oids of the tables of which all is kept that the statement writes; of partitions that of the table at the top will do. */
  readonly keeps: ReadonlySet<number>;
  /** After the statement, in the same transaction. */
  after(): Promise<void>;
  /** As the last of the transaction, before COMMIT; the transaction's deferred constraints are checked by it. */
  atEnd(): Promise<void>;
}
