import type { Statement } from '../sql/split.ts';
import type { Change, LockMode } from './changes/change.ts';
import type { Facts, TableFacts } from './facts.ts';
import type { Policy } from './policy.ts';
import type { PrismaSchema } from './prisma-schema.ts';
import type { Column, Table } from './schema/model.ts';
import { type Schema, splitKey } from './schema/schema.ts';

/** A lock on a table that existed before, taken earlier in the same transaction. */
export interface HeldLock {
  readonly mode: LockMode;
  readonly line: number;
}

/** The transaction in which a statement runs: the file's own, or the one in which Switchback runs the file. */
export interface TransactionState {
  /** By key of the table. */
  readonly held: ReadonlyMap<string, HeldLock>;
  /** Keys of the tables whose rows the file has written so far. */
  readonly written: ReadonlySet<string>;
  /** Whether the file began it itself. */
  readonly explicit: boolean;
  /** Labels that ALTER TYPE … ADD VALUE has added in it, by key of the type. */
  readonly addedLabels: ReadonlyMap<string, readonly string[]>;
}

/** An identifier in quotes. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** What the server or the session is known to have set. */
export type Settings = ReadonlyMap<string, string | null>;

export interface MigrationInfo {
  readonly name: string;
  /** Its place in the folder, from 0. */
  readonly number: number;
  readonly statements: readonly Statement[];
}

type ContextParts = Pick<
  Context,
  | 'schema'
  | 'migration'
  | 'statement'
  | 'transaction'
  | 'settings'
  | 'facts'
  | 'policy'
  | 'previous'
  | 'siblings'
  | 'embedded'
>;

/** What a rule knows when it looks at a change: everything as it is just before that change. */
export class Context {
  readonly schema: Schema;
  readonly migration: MigrationInfo;
  readonly statement: Statement;
  readonly transaction: TransactionState;
  readonly settings: Settings;
  readonly facts: Facts | null;
  readonly policy: Policy;
  /** The schema file of the release that still runs. */
  readonly previous: PrismaSchema | null;
  /** The changes of this statement. */
  readonly siblings: readonly Change[];
  /** The statement stands in a DO block or in a function that is called. */
  readonly embedded: boolean;

  constructor(parts: ContextParts) {
    this.schema = parts.schema;
    this.migration = parts.migration;
    this.statement = parts.statement;
    this.transaction = parts.transaction;
    this.settings = parts.settings;
    this.facts = parts.facts;
    this.policy = parts.policy;
    this.previous = parts.previous;
    this.siblings = parts.siblings;
    this.embedded = parts.embedded;
  }

  /** The server's major version; without a database the oldest that is maintained. */
  get major(): number {
    return this.facts === null ? 14 : Math.floor(this.facts.serverVersion / 10_000);
  }

  table(key: string): Table | undefined {
    return this.schema.tables.get(key);
  }

  column(table: string, name: string): Column | undefined {
    return this.schema.tables.get(table)?.columns.get(name);
  }

  /** Made by this migration (or temporary): nobody uses it yet. What is not known existed. */
  isNew(table: string): boolean {
    const known = this.schema.tables.get(table);
    return known !== undefined && (known.temporary || known.since === this.migration.number);
  }

  isNewColumn(table: string, name: string): boolean {
    return this.isNew(table) || this.column(table, name)?.since === this.migration.number;
  }

  /**
   * Made by an earlier migration of the same deployment, as far as a database's facts show: no release in use knows it,
   * and nothing is in it but what that migration put there.
   */
  isUnreleased(table: string): boolean {
    return this.facts !== null && (this.schema.tables.get(table)?.since ?? -1) >= 0;
  }

  factsOf(table: string): TableFacts | null {
    if (this.facts === null) return null;
    const known = this.facts.tables.get(table);
    if (known !== undefined) return known;
    return this.isUnreleased(table) ? { rows: 0, bytes: 0, indexBytes: 0, reads: 0, writes: 0 } : null;
  }

  /** An identifier as the statement writes it: bare only where it stands bare there. */
  quote(name: string): string {
    const inQuotes = quoted(name);
    const { text } = this.statement;
    const bare = /^[a-z_][a-z0-9_]*$/.test(name) && text.includes(name) && !text.includes(inQuotes);
    return bare ? name : inQuotes;
  }

  /** A table's name for SQL and messages, with its schema where that is not the default one. */
  name(key: string): string {
    const { schema, name } = splitKey(key);
    const written = this.quote(name);
    return schema === this.schema.defaultPath[0] ? written : `${this.quote(schema)}.${written}`;
  }
}
