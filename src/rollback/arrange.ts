/**
 * Puts the statements of a difference around the place at which the data comes back. A difference of schemas knows
 * nothing of rows: it makes a column NOT NULL before there is a value in it, and a foreign key before its parents.
 */
import { qualify, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { SchemaState } from '../schema/difference.ts';
import { columnOf } from './column-facts.ts';
import { conversion } from './conversion.ts';
import {
  createdIndex,
  createdName,
  createdTable,
  createdType,
  droppedType,
  mentions,
  mentionsRelation,
  partsOf,
  readTableStatement,
  type TableStatement,
  unquoted,
} from './statement.ts';

export interface ArrangeInput {
  /** In the database as it is now. */
  readonly session: Session;
  readonly now: SchemaState;
  readonly wanted: SchemaState;
  /** Columns, in quotes, in the place of others that come back. */
  readonly asides: ReadonlySet<string>;
}

export interface Arranged {
  readonly before: readonly string[];
  /** What needs the data. */
  readonly behind: readonly string[];
  /** Whether columns get another type: what they are compared with has the one that they have now. */
  readonly retypes: boolean;
}

export async function arrange(statements: readonly string[], input: ArrangeInput): Promise<Arranged> {
  const arrangement = new Arrangement(input, statements);
  for (const sql of statements) await arrangement.add(sql);
  return arrangement.done();
}

class Arrangement {
  readonly #input: ArrangeInput;
  /** Tables that come back: nothing is in them. */
  readonly #made: ReadonlySet<string>;
  readonly #madeTypes: ReadonlySet<string>;
  readonly #before: string[] = [];
  /** What stands behind, in this order: keys that the migration has made, values for rows that have got none, NOT NULL, identities, and the rest. */
  readonly #keys: string[] = [];
  readonly #values: string[] = [];
  readonly #notNull: string[] = [];
  readonly #identities: string[] = [];
  readonly #rest: string[] = [];
  /** Columns that get their values, or NOT NULL, only behind. */
  readonly #late: { readonly table: string; readonly column: string }[] = [];
  /** Names of what is made behind. */
  readonly #lateNames: string[] = [];
  #retypes = false;
  readonly #droppedKeys = new Set<string>();
  /** Types of columns that go only behind. */
  readonly #lateTypes = new Set<string>();

  constructor(input: ArrangeInput, statements: readonly string[]) {
    this.#input = input;
    this.#made = new Set(statements.flatMap((sql) => createdTable(sql) ?? []));
    this.#madeTypes = new Set(statements.flatMap((sql) => unquoted(createdType(sql) ?? '')));
  }

  async add(sql: string): Promise<void> {
    const read = readTableStatement(sql);
    const known = read !== null && !this.#made.has(read.table);
    if (known && read.kind === 'dropColumn' && this.#findsRows(read)) return this.#dropKey(sql, read);
    if (known && read.kind === 'addColumn') return this.#addColumn(sql, read);
    if (known && read.kind === 'type') return this.#retype(sql, read);
    if (known && read.kind === 'setNotNull') {
      this.#late.push({ table: read.table, column: read.name });
      this.#notNull.push(sql);
    } else if (this.#lateTypes.has(unquoted(droppedType(sql) ?? ''))) this.#keys.push(sql);
    else if (this.#needsData(sql, read)) {
      this.#rest.push(sql);
      const name = read?.name ?? createdName(sql);
      if (name !== null) this.#lateNames.push(name);
    } else this.#before.push(sql);
  }

  done(): Arranged {
    return {
      before: this.#before,
      retypes: this.#retypes,
      behind: [...this.#keys, ...this.#values, ...this.#notNull, ...this.#identities, ...this.#rest],
    };
  }

  /** By a key that the migration has made rows are found that it has changed since. It goes at once where its name is needed. */
  #findsRows({ table, name }: TableStatement): boolean {
    const { now, wanted, asides } = this.#input;
    const { type, notNull, inKey } = columnOf(now, table, name);
    if (!notNull || !inKey || asides.has(name)) return false;
    return columnOf(wanted, table, name).type === '' && !this.#madeTypes.has(elementOf(type));
  }

  /** Rows that come back have no value in it. */
  #dropKey(sql: string, { table, name }: TableStatement): void {
    const { type, isIdentity, defaultValue } = columnOf(this.#input.now, table, name);
    const alter = `ALTER TABLE ${table} ALTER COLUMN ${name}`;
    if (!isIdentity) this.#before.push(`${alter} DROP NOT NULL`);
    if (defaultValue !== null) this.#before.push(`${alter} DROP DEFAULT`);
    this.#keys.push(sql);
    this.#lateTypes.add(elementOf(type));
  }

  #needsData(sql: string, read: TableStatement | null): boolean {
    if (this.#lateNames.some((name) => sql.includes(name) || isRelationIn(sql, name))) return true;
    const index = createdIndex(sql);
    if (index !== null)
      return (
        this.#isLate(index.table, index.columns) ||
        this.#lateNames.some((name) => unquoted(name) === unquoted(index.table))
      );
    if (read?.kind === 'renameConstraint') return this.#late.some(({ table }) => table === read.table);
    // Subscribers have what comes back: it is not published again.
    if (read?.kind !== 'constraint')
      return /^(CREATE MATERIALIZED VIEW|CREATE PUBLICATION|ALTER PUBLICATION) /.test(sql);
    const isKey = /^(PRIMARY KEY|UNIQUE|EXCLUDE)\b/.test(read.rest);
    // Rows of a table that comes back are checked as they come; what they point to may be there only behind.
    if (this.#made.has(read.table)) return !isKey && this.#lateNames.length > 0;
    return !isKey || this.#isLate(read.table, read.rest);
  }

  /** The table is written as PostgreSQL does, or with quotes. */
  #isLate(table: string, columns: string): boolean {
    return this.#late.some(
      (late) => unquoted(late.table) === unquoted(table) && mentions(columns, late.column),
    );
  }

  /** Values come at the marker; rows that were written since have none. */
  #addColumn(sql: string, { table, name, rest }: TableStatement): void {
    this.#late.push({ table, column: name });
    const add = `ALTER TABLE ${table} ADD COLUMN ${name}`;
    const alter = `ALTER TABLE ${table} ALTER COLUMN ${name}`;
    const identity = / (GENERATED (?:ALWAYS|BY DEFAULT) AS IDENTITY(?: \(.*\))?)(?: NOT NULL)?$/s.exec(rest);
    const serial = /^(.*?)( NOT NULL)? DEFAULT (nextval\(.*)$/s.exec(rest);
    if (identity !== null) {
      this.#before.push(`${add} ${rest.slice(0, identity.index)}`);
      this.#values.push(numberSql(table, name));
      this.#notNull.push(`${alter} SET NOT NULL`);
      this.#identities.push(`${alter} ADD ${identity[1]}`, placeSql(table, name, identity[1] ?? ''));
    } else if (serial !== null) {
      const [, type, notNull, value] = serial;
      this.#before.push(`${add} ${type}`, `${alter} SET DEFAULT ${value}`);
      this.#values.push(fillSql(table, name));
      if (notNull !== undefined) this.#notNull.push(`${alter} SET NOT NULL`);
    } else if (this.#baseOf(rest) !== null) {
      // Its own NOT NULL holds for rows that have no value yet, too.
      this.#before.push(`${add} ${this.#baseOf(rest)}`);
      this.#rest.push(`${alter} TYPE ${rest.replace(/ NOT NULL$/, '')}`);
    } else if (/ NOT NULL$/.test(rest)) {
      this.#before.push(sql.replace(/ NOT NULL$/, ''));
      this.#notNull.push(`${alter} SET NOT NULL`);
    } else this.#before.push(sql);
  }

  /** What a domain that is NOT NULL is made of; null for any other type. */
  #baseOf(type: string): string | null {
    const [schema = '', name = ''] = partsOf(type.replace(/ NOT NULL$/, ''));
    const { notNull, baseType } =
      this.#input.wanted.model.facts.get({ kind: 'domain', schema, name })?.payload ?? {};
    return notNull === true && typeof baseType === 'string' ? baseType : null;
  }

  async #retype(sql: string, { table, name, rest }: TableStatement): Promise<void> {
    this.#retypes = true;
    const { session, now, wanted } = this.#input;
    const [is, was] = [columnOf(now, table, name), columnOf(wanted, table, name)];
    this.#dropKeys(table, name, is.type, rest);
    const { using, partial } = await conversion(
      session,
      { column: name, from: is.type, to: rest },
      now,
      wanted,
    );
    // A column of a primary key cannot do without its values: what does not fit is for whoever rolls back to see.
    const alter = `ALTER TABLE ${table} ALTER COLUMN ${name}`;
    if (partial && is.inPrimaryKey)
      return void this.#before.push(using === null ? sql : `${alter} TYPE ${rest} USING ${using}`);
    if (partial && is.notNull) this.#before.push(`${alter} DROP NOT NULL`);
    // PostgreSQL has no way to make a default that is a value of a user's type one of another such type.
    const own = /^"/.test(rest) ? was.defaultValue : null;
    if (own !== null && is.defaultValue !== null) this.#before.push(`${alter} DROP DEFAULT`);
    this.#before.push(`${alter} TYPE ${rest} USING ${using ?? 'NULL'}`);
    if (own !== null) this.#before.push(`${alter} SET DEFAULT ${own}`);
    if (!partial) return;
    if (using === null) this.#late.push({ table, column: name });
    if (was.notNull && was.defaultValue !== null) this.#values.push(fillSql(table, name));
    // Where it is nullable now the difference says so itself.
    if (is.notNull && was.notNull) this.#notNull.push(`${alter} SET NOT NULL`);
  }

  /** A foreign key between two columns of which only one has its type again cannot be. */
  #dropKeys(table: string, column: string, from: string, to: string): void {
    const numbers = /^(smallint|integer|bigint)$/;
    if (numbers.test(from) && numbers.test(to)) return;
    const { now, wanted } = this.#input;
    for (const { id, payload } of now.model.facts.facts()) {
      if (id.kind !== 'constraint' || payload.type !== 'f' || typeof payload.def !== 'string') continue;
      const same = wanted.model.facts.get(id)?.payload.def;
      const on = qualify(id.schema, id.table);
      if (typeof same !== 'string' || this.#droppedKeys.has(`${on} ${id.name}`)) continue;
      const [, own = '', parent = '', theirs = ''] =
        /^FOREIGN KEY \((.*?)\) REFERENCES (.*?)\((.*?)\)/.exec(payload.def) ?? [];
      const isOf = unquoted(on) === unquoted(table) && mentions(own, column);
      if (!isOf && !(unquoted(parent) === unquoted(table) && mentions(theirs, column))) continue;
      this.#droppedKeys.add(`${on} ${id.name}`);
      this.#before.push(`ALTER TABLE ${on} DROP CONSTRAINT ${quoteIdentifier(id.name)}`);
      this.#rest.push(`ALTER TABLE ${on} ADD CONSTRAINT ${quoteIdentifier(id.name)} ${same}`);
    }
  }
}

const elementOf = (type: string): string => unquoted(type.replace(/\[\]$/, ''));

/** Of names only those of relations have their schema. */
const isRelationIn = (sql: string, name: string): boolean =>
  partsOf(name).length > 1 && mentionsRelation(sql, name);

const fillSql = (table: string, column: string): string =>
  `UPDATE ${table} SET ${column} = DEFAULT WHERE ${column} IS NULL`;

/** Numbers rows behind the highest number there is. */
const numberSql = (table: string, column: string): string =>
  `UPDATE ${table} AS t SET ${column} = n.number
  FROM (SELECT tableoid AS part, ctid AS place, row_number() OVER () + (SELECT coalesce(max(${column}), 0) FROM ${table}) AS number
          FROM ${table} WHERE ${column} IS NULL) AS n
 WHERE t.tableoid = n.part AND t.ctid = n.place`;

/** Behind the numbers that there are, where the sequence is not further on already. */
function placeSql(table: string, column: string, options: string): string {
  const sequence = `pg_get_serial_sequence(${quoteLiteral(table)}, ${quoteLiteral(unquoted(column))})`;
  const [farther, last] = /\bINCREMENT BY -/.test(options) ? ['least', 'min'] : ['greatest', 'max'];
  return `SELECT setval(${sequence}, ${farther}(${last}(${column}), pg_sequence_last_value(${sequence}))) FROM ${table}`;
}
