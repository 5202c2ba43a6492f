import { qualify, quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { VaultEntry } from '../vault/entry.ts';
import { readAllEntries, savedBy } from '../vault/list.ts';
import { type RestoreOutcome, restoreEntries } from '../vault/restore.ts';
import type { PlannedMigration } from './plan.ts';
import { isEffective, type Segment, type Step } from './segments.ts';

/** Columns that a statement makes NOT NULL, and does nothing else. */
export interface NotNull {
  /** As it is written in the statement. */
  readonly table: string;
  readonly columns: readonly string[];
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
  readonly made: ReadonlySet<string>;
  /** By the number of the statement, those behind the place at which data is put back. */
  readonly notNull: ReadonlyMap<number, NotNull>;
  /** The rollback that keeps what it removes itself; null for none. */
  readonly rollback: { readonly operation: string; readonly migration: string } | null;
}

/** Carries out what stands in a text for data that comes back. Of a step that is tried again the last try counts. */
export class Restorer {
  readonly #input: RestorerInput;
  readonly #left = new Map<number, readonly LeftNullable[]>();
  #restored: readonly RestoreOutcome[] = [];

  constructor(input: RestorerInput) {
    this.#input = input;
  }

  get restored(): readonly RestoreOutcome[] {
    return this.#restored;
  }

  get leftNullable(): readonly LeftNullable[] {
    return [...this.#left.values()].flat();
  }

  /** What takes the place of a step's text; null for any other step. */
  instead(step: Step): (() => Promise<void>) | null {
    if (step.restores) return () => this.#restore();
    const notNull = this.#input.notNull.get(step.statement);
    return notNull === undefined ? null : () => this.#setNotNull(step.statement, notNull);
  }

  async #restore(): Promise<void> {
    const { session, entries, made } = this.#input;
    if (entries.length === 0) return;
    const ids = await this.#applicable();
    this.#restored = await restoreEntries(session, ids, { fresh: made, emptied: await this.#emptied() });
  }

  /** A table that the migration made is gone again, and with it what functions of the migration wrote to it. */
  async #applicable(): Promise<string[]> {
    const { session, entries } = this.#input;
    const changed = entries.filter(({ kind }) => kind === 'changes');
    const { rows } = await session.query<{ gone: boolean }>(
      'select pg_catalog.to_regclass(name) is null as gone from pg_catalog.unnest($1::text[]) with ordinality t(name, n) order by n',
      [changed.map(({ schema, table }) => qualify(schema, table))],
    );
    const gone = new Set(changed.filter((_, index) => rows[index]?.gone === true).map(({ id }) => id));
    return entries.map(({ id }) => id).filter((id) => !gone.has(id));
  }

  /** The rollback's own copies of what stood in columns that it has emptied. */
  async #emptied(): Promise<Map<string, string>> {
    const { session, entries, made, rollback } = this.#input;
    const narrowed = entries.filter(({ id, kind }) => kind === 'values' && made.has(id));
    if (rollback === null || narrowed.length === 0) return new Map();
    const own = await readAllEntries(session, await savedBy(session, { ...rollback, direction: 'back' }));
    return new Map(
      narrowed.flatMap((entry): [string, string][] => {
        const copy = own.find((one) => one.kind === 'values' && isSame(one, entry));
        return copy?.relation == null ? [] : [[entry.id, copy.relation]];
      }),
    );
  }

  /** What steps have left that were carried out by an attempt before this one. */
  async lookAgain(): Promise<void> {
    for (const [statement, notNull] of this.#input.notNull)
      if (!this.#left.has(statement)) this.#left.set(statement, await this.#withoutValue(notNull));
  }

  /** Rows that were written since may have no value; then the column stays as it is. */
  async #setNotNull(statement: number, notNull: NotNull): Promise<void> {
    const { table, columns } = notNull;
    const left = await this.#withoutValue(notNull);
    for (const column of columns)
      if (!left.some((one) => one.column === column))
        await this.#input.session.query(
          `alter table ${table} alter column ${quoteIdentifier(column)} set not null`,
        );
    this.#left.set(statement, left);
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

const isSame = (a: VaultEntry, b: VaultEntry): boolean =>
  JSON.stringify([a.schema, a.table, a.columns, a.keyColumns]) ===
  JSON.stringify([b.schema, b.table, b.columns, b.keyColumns]);

/** The step at which data is put back. */
const restoring = (after: Step | undefined): Step => ({
  statement: (after?.statement ?? 0) + 1,
  offset: after === undefined ? 0 : after.offset + after.length,
  length: 0,
  line: after?.line ?? 1,
  column: after?.column ?? 1,
  summary: 'the data that its rollback saved is put back',
  blocks: true,
  brief: false,
  waitsForSnapshots: false,
  setting: false,
  replays: false,
  commitsItself: false,
  removals: [],
  restores: true,
});

/** The migration with its data put back at the end of its last transaction, or in one of its own. */
export function restoringAtEnd(migration: PlannedMigration): PlannedMigration {
  const { segments } = migration;
  const last = segments.at(-1);
  const step = restoring(last?.steps.at(-1));
  const joins = last?.runs === 'transaction' && !last.rollsBack;
  const apart: Segment = {
    runs: 'transaction',
    rollsBack: false,
    explicit: false,
    begin: 'begin',
    steps: [step],
  };
  const ending =
    joins && last !== undefined
      ? [...segments.slice(0, -1), { ...last, steps: [...last.steps, step] }]
      : [...segments, apart];
  return {
    ...migration,
    segments: ending,
    journalled: migration.journalled || ending.filter(isEffective).length > 1,
  };
}
