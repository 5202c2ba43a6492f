/**
 * Puts the statements of a difference around the place at which the data comes back. A difference of schemas knows
 * nothing of rows: it makes a column NOT NULL before there is a value in it, and a foreign key before its parents.
 */
import { qualify, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { SchemaState } from '../schema/difference.ts';
import { conversion } from './conversion.ts';
import {
  createdIndex,
  createdName,
  createdTable,
  mentions,
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
}

export interface Arranged {
  readonly before: readonly string[];
  /** What needs the data. */
  readonly behind: readonly string[];
}

export async function arrange(statements: readonly string[], input: ArrangeInput): Promise<Arranged> {
  const made = new Set(statements.flatMap((sql) => createdTable(sql) ?? []));
  const arrangement = new Arrangement(input, made);
  for (const sql of statements) await arrangement.add(sql);
  return arrangement.done();
}

class Arrangement {
  readonly #input: ArrangeInput;
  /** Tables that come back: nothing is in them. */
  readonly #made: ReadonlySet<string>;
  readonly #before: string[] = [];
  /** What stands behind, in this order: values for rows that have got none, NOT NULL, identities, and the rest. */
  readonly #values: string[] = [];
  readonly #notNull: string[] = [];
  readonly #identities: string[] = [];
  readonly #rest: string[] = [];
  /** Columns that get their values, or NOT NULL, only behind. */
  readonly #late: { readonly table: string; readonly column: string }[] = [];
  /** Names of what is made behind. */
  readonly #lateNames: string[] = [];
  readonly #droppedKeys = new Set<string>();

  constructor(input: ArrangeInput, made: ReadonlySet<string>) {
    this.#input = input;
    this.#made = made;
  }

  async add(sql: string): Promise<void> {
    const read = readTableStatement(sql);
    const known = read !== null && !this.#made.has(read.table);
    if (known && read.kind === 'addColumn') return this.#addColumn(sql, read);
    if (known && read.kind === 'type') return this.#retype(sql, read);
    if (known && read.kind === 'setNotNull') {
      this.#late.push({ table: read.table, column: read.name });
      this.#notNull.push(sql);
    } else if (this.#needsData(sql, read)) {
      this.#rest.push(sql);
      const name = read?.name ?? createdName(sql);
      if (name !== null) this.#lateNames.push(name);
    } else this.#before.push(sql);
  }

  done(): Arranged {
    return {
      before: this.#before,
      behind: [...this.#values, ...this.#notNull, ...this.#identities, ...this.#rest],
    };
  }

  #needsData(sql: string, read: TableStatement | null): boolean {
    if (this.#lateNames.some((name) => sql.includes(name))) return true;
    const index = createdIndex(sql);
    if (index !== null)
      return (
        this.#isLate(index.table, index.columns) ||
        this.#lateNames.some((name) => unquoted(name) === unquoted(index.table))
      );
    if (read?.kind === 'renameConstraint') return this.#late.some(({ table }) => table === read.table);
    if (read?.kind !== 'constraint') return /^CREATE MATERIALIZED VIEW /.test(sql);
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
      this.#identities.push(`${alter} ADD ${identity[1]}`, placeSql(table, name));
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
    if (partial && is.inPrimaryKey) return void this.#before.push(sql);
    const alter = `ALTER TABLE ${table} ALTER COLUMN ${name}`;
    if (partial && is.notNull) this.#before.push(`${alter} DROP NOT NULL`);
    this.#before.push(`${alter} TYPE ${rest} USING ${using ?? 'NULL'}`);
    if (!partial) return;
    if (using === null) this.#late.push({ table, column: name });
    if (was.notNull && was.hasDefault) this.#values.push(fillSql(table, name));
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

const fillSql = (table: string, column: string): string =>
  `UPDATE ${table} SET ${column} = DEFAULT WHERE ${column} IS NULL`;

/** Numbers rows behind the highest number there is. */
const numberSql = (table: string, column: string): string =>
  `UPDATE ${table} AS t SET ${column} = n.number
  FROM (SELECT tableoid AS part, ctid AS place, row_number() OVER () + (SELECT coalesce(max(${column}), 0) FROM ${table}) AS number
          FROM ${table} WHERE ${column} IS NULL) AS n
 WHERE t.tableoid = n.part AND t.ctid = n.place`;

const placeSql = (table: string, column: string): string =>
  `SELECT setval(pg_get_serial_sequence(${quoteLiteral(table)}, ${quoteLiteral(unquoted(column))}), max(${column})) FROM ${table}`;

interface ColumnFacts {
  readonly type: string;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  readonly inPrimaryKey: boolean;
}

function columnOf({ model }: SchemaState, table: string, column: string): ColumnFacts {
  const [schema = '', relation = ''] = partsOf(table);
  const name = unquoted(column);
  const { type, notNull } = model.facts.get({ kind: 'column', schema, table: relation, name })?.payload ?? {};
  const keys = model.facts
    .childrenOf({ kind: 'table', schema, name: relation })
    .map(({ payload }) => (typeof payload.def === 'string' ? payload.def : ''));
  return {
    type: typeof type === 'string' ? type : '',
    notNull: notNull === true,
    hasDefault: model.facts.has({ kind: 'default', schema, table: relation, name }),
    inPrimaryKey: keys.some((key) => key.startsWith('PRIMARY KEY ') && mentions(key, column)),
  };
}
