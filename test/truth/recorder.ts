/** Gathers what a migration's statements did into one observation. */
import {
  type Effect,
  effects,
  type Finding,
  type Lock,
  type Observation,
  type Validation,
} from './observation.ts';
import { modes, type Snapshot, type TableFacts } from './snapshot.ts';
import { outcomeOf, type Step } from './steps.ts';

export type Trace = Pick<
  Observation,
  | 'effects'
  | 'findings'
  | 'locks'
  | 'concurrent'
  | 'validations'
  | 'renamed'
  | 'rowsInserted'
  | 'rowsUpdated'
  | 'rowsDeleted'
>;

export class Recorder {
  /** The tables before the migration. */
  readonly #base: Snapshot;
  readonly #findings: Finding[] = [];
  readonly #concurrent = new Set<string>();
  readonly #validations: Validation[] = [];
  readonly #locks = new Map<number, number>();
  readonly #counts = {
    inserted: new Map<string, number>(),
    updated: new Map<string, number>(),
    deleted: new Map<string, number>(),
  };

  constructor(base: Snapshot) {
    this.#base = base;
  }

  step(step: Step, statement: number): void {
    const { effects: found, concurrent, validations } = outcomeOf(step);
    for (const { effect, table } of found) this.#find(effect, table, statement);
    for (const table of concurrent) this.#concurrent.add(this.#name(table));
    for (const { table, ...validation } of validations)
      this.#validations.push({ table: this.#name(table), ...validation });
    for (const is of step.after.tables.values()) this.#count(step.before.tables.get(is.oid), is, step.bare);
    for (const [table, mode] of step.after.locks)
      this.#locks.set(table, Math.max(mode, this.#locks.get(table) ?? -1));
    this.#losses(step, statement);
  }

  finish(after: Snapshot): Trace {
    const found = new Set(this.#findings.map(({ effect }) => effect));
    return {
      effects: effects.filter((effect) => found.has(effect)),
      findings: this.#findings,
      locks: this.#heldLocks(),
      concurrent: [...this.#concurrent].sort(),
      validations: this.#validations,
      renamed: this.#renamed(after),
      rowsInserted: Object.fromEntries(this.#counts.inserted),
      rowsUpdated: Object.fromEntries(this.#counts.updated),
      rowsDeleted: Object.fromEntries(this.#counts.deleted),
    };
  }

  #name(table: number): string {
    return this.#base.tables.get(table)?.name ?? String(table);
  }

  #find(effect: Effect, table: number, statement: number): void {
    this.#findings.push({ effect, table: this.#name(table), statement });
  }

  /** Tables and columns that were there before the migration, and which this statement dropped. */
  #losses({ before, after }: Step, statement: number): void {
    for (const was of before.tables.values()) {
      const is = after.tables.get(was.oid);
      const old = new Set(this.#base.tables.get(was.oid)?.columns.map(([number]) => number));
      const kept = new Set(is?.columns.map(([number]) => number));
      const lost = was.columns.some(([number]) => old.has(number) && !kept.has(number));
      if (is === undefined || lost) this.#find('dataLoss', was.oid, statement);
    }
  }

  #count(was: TableFacts | undefined, is: TableFacts, bare: boolean): void {
    if (was === undefined || bare) return;
    for (const kind of ['inserted', 'updated', 'deleted'] as const) {
      // TRUNCATE takes counts back.
      const more = Math.max(is[kind] - was[kind], 0);
      const name = this.#name(is.oid);
      if (more > 0) this.#counts[kind].set(name, (this.#counts[kind].get(name) ?? 0) + more);
    }
  }

  #heldLocks(): Lock[] {
    return [...this.#locks]
      .map(([table, mode]) => ({ table: this.#name(table), mode: modes[mode] ?? '' }))
      .sort((a, b) => a.table.localeCompare(b.table));
  }

  #renamed(after: Snapshot): string[] {
    return [...this.#base.tables.values()].flatMap((was) => {
      const is = after.tables.get(was.oid);
      if (is === undefined) return [];
      const columns = was.columns.flatMap(([number, , name]) => {
        const now = is.columns.find(([other]) => other === number)?.[2];
        return now === undefined || now === name ? [] : [`${was.name}.${name} -> ${now}`];
      });
      return is.name === was.name ? columns : [`${was.name} -> ${is.name}`, ...columns];
    });
  }
}
