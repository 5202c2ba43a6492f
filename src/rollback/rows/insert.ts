/** Inserts rows into one table; where a check refuses them, other values are tried. */
import { quoteIdentifier } from '../../db/quote.ts';
import { candidatesFor, combinations } from './candidates.ts';
import type { Column, Connection, Table, Types } from './catalogue.ts';
import { type Refusal, refusalOf } from './refusal.ts';
import type { Row } from './row.ts';

const checkViolation = '23514';
const maxCombinations = 400;
/** Checks of one table that are satisfied one after the other. */
const maxDepth = 20;
/** Of one row: several checks that cannot hold at once would be tried for ever. */
const maxAttempts = 1_000;

interface Suspect {
  readonly column: Column;
  readonly hints: string;
}

export class Inserter {
  readonly #client: Connection;
  readonly #table: Table;
  readonly #types: Types;
  /** What satisfied the checks of an earlier row. */
  #learned: Row = new Map();
  #attempts = 0;
  #number = 0;

  constructor(client: Connection, table: Table, types: Types) {
    this.#client = client;
    this.#table = table;
    this.#types = types;
  }

  /** All rows in one statement, which is what mostly works; the error otherwise. */
  insertAll(rows: readonly Row[]): Promise<Refusal | null> {
    return this.#try(rows);
  }

  /** The n-th row, after as many changes as it takes, none of them of what is fixed; the error where none helps. */
  async insertOne(row: Row, n: number, fixed: Row = new Map()): Promise<Refusal | null> {
    this.#attempts = 0;
    this.#number = n;
    const proven = new Map([...row, ...this.#learned, ...fixed]);
    if (this.#learned.size > 0 && (await this.#try([proven])) === null) return null;
    return this.#settle(row, fixed, maxDepth);
  }

  async #settle(row: Row, changes: Row, depth: number): Promise<Refusal | null> {
    const error = await this.#try([new Map([...row, ...changes])]);
    if (error === null) {
      this.#learned = changes;
      return null;
    }
    if (error.code !== checkViolation || depth === 0) return error;
    const suspects = this.#suspects(error).filter(({ column }) => !changes.has(column.name));
    const lists = suspects.map((suspect) => this.#valuesToTry(suspect, row));
    if (lists.every((list) => list.length < 2)) return error;
    for (const values of combinations(lists, maxCombinations)) {
      if (this.#attempts > maxAttempts) return error;
      const tried = new Map([
        ...changes,
        ...values.map((value, i) => [suspects[i]?.column.name ?? '', value] as const),
      ]);
      const left = await this.#try([new Map([...row, ...tried])]);
      const done =
        left === null || (isOther(left, error) && (await this.#settle(row, tried, depth - 1)) === null);
      if (left === null) this.#learned = tried;
      if (done) return null;
    }
    return error;
  }

  /** A foreign key may be left open, and else stays as it is. */
  #valuesToTry({ column, hints }: Suspect, row: Row): string[] {
    const current = row.get(column.name) ?? 'default';
    const isKey = this.#table.foreignKeys.some(({ columns }) => columns.includes(column.name));
    if (isKey) return column.notNull ? [current] : [current, 'null'];
    return [current, ...candidatesFor(column, this.#types, hints, this.#number)];
  }

  /** Columns that a violated check looks at, and the texts that may tell what it wants. */
  #suspects(error: Refusal): Suspect[] {
    const { columns, checks, bounds, partitionKey } = this.#table;
    const check = checks.find(({ name }) => name === error.constraint);
    if (check !== undefined)
      return columns
        .filter(({ name, generated }) => check.columns.includes(name) && !generated)
        .map((column) => ({ column, hints: check.definition }));
    if (error.constraint === null)
      return columns
        .filter(({ name }) => partitionKey.includes(name))
        .map((column) => ({ column, hints: bounds.join(' ') }));
    return columns.flatMap((column) => {
      const hints = this.#domainChecks(column.type).join(' ');
      return hints === '' ? [] : [{ column, hints }];
    });
  }

  #domainChecks(type: number): string[] {
    const found = this.#types.get(type);
    if (found === undefined) return [];
    const inner = found.kind === 'd' ? this.#domainChecks(found.base) : [];
    return [...found.checks.map(({ definition }) => definition), ...inner];
  }

  async #try(rows: readonly Row[]): Promise<Refusal | null> {
    this.#attempts += 1;
    const error = await this.#insert(rows, '');
    // A user's trigger may refuse what all constraints allow.
    return error !== null && this.#table.hasTriggers && !isConstraint(error)
      ? this.#insert(rows, 'set local session_replication_role = replica')
      : error;
  }

  async #insert(rows: readonly Row[], setting: string): Promise<Refusal | null> {
    await this.#client.query(`savepoint attempt; ${setting}`);
    try {
      await this.#client.query(insertSql(this.#table, rows));
      await this.#client.query(
        `${setting === '' ? '' : 'set local session_replication_role = origin; '}release savepoint attempt`,
      );
      return null;
    } catch (error) {
      const refusal = refusalOf(error);
      await this.#client.query('rollback to savepoint attempt; release savepoint attempt');
      return refusal;
    }
  }
}

const isOther = (error: Refusal, before: Refusal): boolean =>
  error.code === checkViolation && error.constraint !== before.constraint;

const isConstraint = (error: Refusal): boolean => error.code.startsWith('23');

function insertSql(table: Table, rows: readonly Row[]): string {
  const columns = table.columns.map(({ name }) => name).filter((name) => rows.some((row) => row.has(name)));
  if (columns.length === 0) return `insert into ${table.name} default values`;
  const tuples = rows.map((row) => `(${columns.map((name) => row.get(name) ?? 'default').join(', ')})`);
  // Identity columns that are always generated take a value nonetheless, where a key demands one.
  return `insert into ${table.name} (${columns.map(quoteIdentifier).join(', ')}) overriding system value values ${tuples.join(', ')}`;
}
