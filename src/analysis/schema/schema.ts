import type { QualifiedName } from '../../sql/tree.ts';
import { isGuessed } from '../dynamic-text.ts';
import type { Index, Table, UserFunction, UserType } from './model.ts';

/** Schemas that no migration makes. */
const builtIn = new Set(['pg_catalog', 'information_schema', 'pg_temp', 'pg_toast']);

/** A database's schema while the statements of a folder go over it. */
export class Schema {
  readonly tables = new Map<string, Table>();
  readonly indexes = new Map<string, Index>();
  readonly types = new Map<string, UserType>();
  /** By key; overloads of one name share it, the last one stands. */
  readonly functions = new Map<string, UserFunction>();
  readonly schemas = new Set(['public']);
  /** Objects that views read; only their keys. */
  readonly extensions = new Set<string>();
  /** Where names without a schema are looked up and made; the first is where they are made. */
  searchPath: readonly string[];
  readonly defaultPath: readonly string[];
  /** Whether any table has a parent; almost no schema has such tables, and looking for them costs a pass over all. */
  hasChildren = false;
  /** By the key of a table, those of the tables that have, or once had, a foreign key to it. */
  readonly #referencing = new Map<string, Set<string>>();
  /**
   * Whether everything that exists is known: begun from nothing or from a catalogue, and nothing since that could not
   * be followed. Then a name that is not known does not exist.
   */
  complete: boolean;

  constructor(options: { defaultSchema?: string; complete: boolean }) {
    const path = [options.defaultSchema ?? 'public'];
    this.searchPath = path;
    this.defaultPath = path;
    this.complete = options.complete;
  }

  /** The key of an object that a statement makes, whatever there is of that name elsewhere. */
  newKey(name: QualifiedName, temporary = false): string {
    return keyOf(temporary ? 'pg_temp' : (name.schema ?? this.#firstSchema()), name.name);
  }

  noteReference(from: string, to: string): void {
    const known = this.#referencing.get(to);
    if (known === undefined) this.#referencing.set(to, new Set([from]));
    else known.add(from);
  }

  /** The tables that may have a foreign key to a table. */
  referencing(key: string): Table[] {
    return [...(this.#referencing.get(key) ?? [])].flatMap((from) => this.tables.get(from) ?? []);
  }

  /** What a session has set or made for itself ends with the file. */
  endSession(): void {
    this.searchPath = this.defaultPath;
    // What stands for a table whose name only the server knows stands for another one in the next file.
    for (const key of this.tables.keys())
      if (key.startsWith('pg_temp.') || isGuessed(key)) this.tables.delete(key);
  }

  /** The key of a relation that a statement names. */
  tableKey(name: QualifiedName): string {
    const temporary = keyOf('pg_temp', name.name);
    if (name.schema === null && this.tables.has(temporary)) return temporary;
    return this.#resolve(name, this.tables);
  }

  indexKey(name: QualifiedName): string {
    return this.#resolve(name, this.indexes);
  }

  typeKey(name: QualifiedName): string {
    return this.#resolve(name, this.types);
  }

  functionKey(name: QualifiedName): string {
    return this.#resolve(name, this.functions);
  }

  table(name: QualifiedName): Table | undefined {
    return this.tables.get(this.tableKey(name));
  }

  /** Tables and indexes share their names. */
  hasRelation(key: string): boolean {
    return this.tables.has(key) || this.indexes.has(key);
  }

  #resolve(name: QualifiedName, known: ReadonlyMap<string, unknown>): string {
    if (name.schema !== null) return keyOf(name.schema, name.name);
    const found = this.searchPath.map((schema) => keyOf(schema, name.name)).find((key) => known.has(key));
    return found ?? keyOf(this.#firstSchema(), name.name);
  }

  /** Schemas of the path that do not exist are passed over. */
  #firstSchema(): string {
    return this.searchPath.find((name) => this.schemas.has(name)) ?? this.searchPath[0] ?? 'public';
  }

  /** Whether a schema is one of PostgreSQL's own. */
  static isBuiltIn(schema: string | null): boolean {
    return schema !== null && builtIn.has(schema);
  }
}

export const keyOf = (schema: string, name: string): string => `${schema}.${name}`;

/** Schema and name of a key. A name may hold a dot, so may a schema; the schema is taken as short as possible. */
export function splitKey(key: string): { schema: string; name: string } {
  const dot = key.indexOf('.');
  return { schema: key.slice(0, dot), name: key.slice(dot + 1) };
}
