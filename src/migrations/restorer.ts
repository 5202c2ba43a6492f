import type { Allowance } from '../config.ts';
import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { asVault } from '../vault/as-vault.ts';
import type { VaultEntry } from '../vault/entry.ts';
import { readAllEntries, savedBy } from '../vault/list.ts';
import { originOf } from '../vault/origins.ts';
import type { VaultContext } from '../vault/removals.ts';
import { type RestoreOutcome, restoreEntries } from '../vault/restore.ts';
import { restoreEarly } from '../vault/restore-early.ts';
import { restorePosition } from '../vault/restore-position.ts';
import {
  addConstraint,
  addWhereUnique,
  isThere,
  type LeftOut,
  type LeftUnvalidated,
  lookAtConstraint,
} from './add-constraint.ts';
import type { AddedConstraint } from './added-constraints.ts';
import { type MadePartition, makePartition } from './made-partition.ts';
import type { PlacedNaming } from './removals.ts';
import type { Step } from './segments.ts';

/** Columns that a statement makes NOT NULL, and does nothing else. */
export interface NotNull {
  /** As it is written in the statement. */
  readonly table: string;
  readonly columns: readonly string[];
}

export interface RenamedConstraint {
  /** As that of `NotNull` is. */
  readonly table: string;
  /** That it has before. */
  readonly name: string;
  readonly sql: string;
}

/** A column that gets numbers from a sequence, which is made with that. */
export interface AddedIdentity {
  /** As that of `NotNull` is. */
  readonly table: string;
  readonly column: string;
  readonly sql: string;
}

/** A column that was to be NOT NULL and has rows without a value. */
export interface LeftNullable {
  readonly table: string;
  readonly column: string;
  readonly rows: number;
}

interface RestorerInput {
  readonly session: Session;
  readonly entries: readonly VaultEntry[];
  /** Ids of those whose columns the text makes anew, or empties. */
  readonly made: ReadonlyMap<string, 'added' | 'emptied'>;
  /** Numbers of the steps that put back only what can be, before the one that puts back all. */
  readonly early: ReadonlySet<number>;
  /** Number of the step that puts back all; null where it is behind all others. */
  readonly place: number | null;
  /** What the text calls otherwise. */
  readonly namings: readonly PlacedNaming[];
  /** By the number of the statement, those behind the place at which data is put back. */
  readonly notNull: ReadonlyMap<number, NotNull>;
  /** By the number of the statement. */
  readonly renamed: ReadonlyMap<number, RenamedConstraint>;
  /** By the number of the statement. */
  readonly partitions: ReadonlyMap<number, MadePartition>;
  /** By the number of the statement. */
  readonly identities: ReadonlyMap<number, AddedIdentity>;
  /** By the number of the statement. */
  readonly constraints: ReadonlyMap<number, AddedConstraint>;
  /** Lets a rollback go on without a key that is not unique any more. */
  readonly withoutKeys: Allowance | undefined;
  /** The run that keeps what it removes itself; null for none. */
  readonly own: Pick<VaultContext, 'operation' | 'migration' | 'direction'> | null;
}

/** Carries out what stands in a text for data that comes back. Of a step that is tried again the last try counts. */
export class Restorer {
  readonly #input: RestorerInput;
  readonly #left = new Map<number, readonly LeftNullable[]>();
  readonly #constraints = new Map<number, LeftUnvalidated | LeftOut | null>();
  readonly #restored = new Map<number, readonly RestoreOutcome[]>();

  constructor(input: RestorerInput) {
    this.#input = input;
  }

  get restored(): readonly RestoreOutcome[] {
    return [...this.#restored.values()].flat();
  }

  get leftNullable(): readonly LeftNullable[] {
    return [...this.#left.values()].flat();
  }

  get leftUnvalidated(): readonly LeftUnvalidated[] {
    return [...this.#constraints.values()].flatMap((left) =>
      left !== null && 'constraint' in left ? [left] : [],
    );
  }

  get leftOut(): readonly LeftOut[] {
    return [...this.#constraints.values()].flatMap((left) => (left !== null && 'name' in left ? [left] : []));
  }

  /** What takes the place of a step's text; null for any other step. */
  instead(step: Step): (() => Promise<void>) | null {
    if (step.restores) return () => this.#putBack(step.statement);
    const added = this.#input.constraints.get(step.statement);
    if (added !== undefined) return () => this.#addConstraint(step.statement, added);
    const renamed = this.#input.renamed.get(step.statement);
    if (renamed !== undefined) return () => this.#rename(renamed);
    const partition = this.#input.partitions.get(step.statement);
    if (partition !== undefined) return () => makePartition(this.#input.session, partition);
    const identity = this.#input.identities.get(step.statement);
    if (identity !== undefined) return () => this.#addIdentity(identity);
    const notNull = this.#input.notNull.get(step.statement);
    return notNull === undefined ? null : () => this.#setNotNull(step.statement, notNull);
  }

  async #putBack(statement: number): Promise<void> {
    await this.#restore(statement);
    if (statement !== this.#input.place) return;
    for (const [waiting, added] of this.#input.constraints)
      if (this.#mayWait(waiting, added) && !(await isThere(this.#input.session, added)))
        await this.#judge(waiting, added);
  }

  async #restore(statement: number): Promise<void> {
    const { session, entries, early, made } = this.#input;
    this.#restored.delete(statement);
    const done = new Set(this.restored.map(({ id }) => id));
    // Of a text with several places an attempt before this one may have been at the first.
    const open = entries.filter(
      ({ id, state }) => !done.has(id) && !(early.size > 0 && state === 'restored'),
    );
    if (open.length === 0) return;
    const outcomes = early.has(statement)
      ? await restoreEarly(session, open)
      : await restoreEntries(
          session,
          open.map(({ id }) => id),
          { made, copies: await this.#copies(statement) },
        );
    this.#restored.set(statement, outcomes);
  }

  /** The run's own copies of what stood in columns before it changed their types. */
  async #copies(statement: number): Promise<Map<string, VaultEntry>> {
    const { session, entries, own } = this.#input;
    const namings = this.#input.namings.filter((naming) => naming.statement < statement);
    const retyped = entries.filter(({ kind }) => kind === 'values' || kind === 'label');
    if (own === null || retyped.length === 0) return new Map();
    const kept = await asVault(session, async () => readAllEntries(session, await savedBy(session, own)));
    return new Map(
      retyped.flatMap((entry): [string, VaultEntry][] => {
        const copy = kept.find((one) => one.kind === 'values' && isSame(one, entry, namings));
        return copy === undefined ? [] : [[entry.id, copy]];
      }),
    );
  }

  /** What steps have left that were carried out by an attempt before this one. */
  async lookAgain(): Promise<void> {
    for (const [statement, notNull] of this.#input.notNull)
      if (!this.#left.has(statement)) this.#left.set(statement, await this.#withoutValue(notNull));
    for (const [statement, added] of this.#input.constraints)
      if (!this.#constraints.has(statement))
        this.#constraints.set(statement, await lookAtConstraint(this.#input.session, added));
  }

  /** Rows that were written since may have no value; then the column stays as it is. */
  async #setNotNull(statement: number, notNull: NotNull): Promise<void> {
    const { table, columns } = notNull;
    const left = await this.#seeingAll(table, () => this.#withoutValue(notNull));
    for (const column of columns)
      if (!left.some((one) => one.column === column))
        await this.#input.session.query(
          `alter table ${table} alter column ${quoteIdentifier(column)} set not null`,
        );
    this.#left.set(statement, left);
  }

  async #addConstraint(statement: number, added: AddedConstraint): Promise<void> {
    this.#constraints.delete(statement);
    if (!this.#mayWait(statement, added)) return this.#judge(statement, added);
    if (await addWhereUnique(this.#input.session, added)) this.#constraints.set(statement, null);
  }

  /** Rows are in the way of a key that are gone only where the data is put back. */
  #mayWait(statement: number, { kind }: AddedConstraint): boolean {
    const { place, entries } = this.#input;
    return kind === 'unique' && place !== null && statement < place && entries.length > 0;
  }

  async #judge(statement: number, added: AddedConstraint): Promise<void> {
    const { session, withoutKeys } = this.#input;
    this.#constraints.set(statement, await addConstraint(session, added, withoutKeys));
  }

  /** Where the data came back there was no sequence yet that could be taken on to where it stood. */
  async #addIdentity({ sql, ...at }: AddedIdentity): Promise<void> {
    const { session, entries } = this.#input;
    await session.query(sql);
    await restorePosition(session, entries, at);
  }

  /** Since 18 a column's NOT NULL is a constraint: of one that stays nullable there is none to be named. */
  async #rename({ table, name, sql }: RenamedConstraint): Promise<void> {
    const { session, notNull } = this.#input;
    const columns = [...notNull.values()].flatMap((one) => (one.table === table ? one.columns : []));
    const { rows } = await session.query<{ gone: boolean }>(
      `select exists (select from pg_catalog.pg_attribute where attrelid = pg_catalog.to_regclass($1) and attname = any ($3) and not attnotnull)
          and not exists (select from pg_catalog.pg_constraint where conrelid = pg_catalog.to_regclass($1) and conname = $2) as gone`,
      [table, name, columns],
    );
    if (rows[0]?.gone !== true) await session.query(sql);
  }

  /** Row level security may hide rows even from a table's owner. */
  async #seeingAll<T>(table: string, work: () => Promise<T>): Promise<T> {
    const { session } = this.#input;
    const { rows } = await session.query<{ hides: boolean }>(
      'select pg_catalog.row_security_active($1) as hides',
      [table],
    );
    if (rows[0]?.hides !== true) return work();
    await session.query(`alter table ${table} no force row level security`);
    const result = await work();
    await session.query(`alter table ${table} force row level security`);
    return result;
  }

  async #withoutValue({ table, columns }: NotNull): Promise<LeftNullable[]> {
    const left: LeftNullable[] = [];
    for (const column of columns) {
      const { rows } = await this.#input.session.query<{ count: number }>(
        `select pg_catalog.count(*)::pg_catalog.float8 as count from ${table} where ${quoteIdentifier(column)} is null`,
      );
      const count = rows[0]?.count ?? 0;
      if (count > 0) left.push({ table, column, rows: count });
    }
    return left;
  }
}

/** The copy has the names from before the rollback, the entry those that the rollback has given back. */
function isSame(copy: VaultEntry, entry: VaultEntry, namings: readonly PlacedNaming[]): boolean {
  const keys = entry.keyColumns ?? [];
  const at = { schema: entry.schema, name: entry.table };
  const origin = originOf(at, [...entry.columns, ...keys], namings);
  const names = (columns: readonly string[]): (string | null)[] => columns.map((name) => origin.keptAs(name));
  return (
    JSON.stringify([copy.schema, copy.table, copy.columns, copy.keyColumns ?? []]) ===
    JSON.stringify([origin.schema, origin.name, names(entry.columns), names(keys)])
  );
}
