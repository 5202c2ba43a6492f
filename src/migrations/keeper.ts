import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { codeActsOutside } from '../sql/cluster-wide.ts';
import { readAsVault } from '../vault/as-vault.ts';
import { savedBy } from '../vault/list.ts';
import type { Direction, Removal, Saved, VaultContext } from '../vault/removals.ts';
import { save } from '../vault/save.ts';
import { largeObjects, type TableWrites } from '../vault/writes.ts';
import { alsoKeeping } from './also-keeping.ts';
import type { Keeping } from './keeping.ts';
import { locate } from './message.ts';
import type { PlannedMigration } from './plan.ts';
import type { Around } from './segment-run.ts';
import type { Segment, Step } from './segments.ts';
import { StepFailure } from './step-failure.ts';
import { type Missed, WriteWatch } from './write-watch.ts';

export interface KeeperInput {
  readonly session: Session;
  readonly keeping: Keeping | null;
  readonly migration: Pick<PlannedMigration, 'name' | 'namings'>;
  readonly direction: Direction;
  readonly text: string;
  readonly remark: (remark: string) => void;
}

/** Sees to it that what the steps of one migration remove is kept, or that it is said why it is not. */
export class Keeper {
  readonly #input: KeeperInput;
  /** Steps of which nothing is kept any more. */
  readonly #given = new Set<number>();
  /** What trying has shown that a step writes, beyond what its text does. */
  readonly #found = new Map<number, Missed[]>();
  /** The same of what COMMIT has fired. */
  #foundAtEnd: TableWrites[] = [];
  /** Whether every step that may write is looked at by itself. */
  #oneByOne = false;
  #watch: WriteWatch | null = null;
  #rounds = 0;
  #joins = true;
  /** Steps that were kept together, the last that were. */
  #together: readonly Step[] = [];
  #used = false;
  /** What was removed and is not kept, in words. */
  readonly unkept: string[] = [];

  constructor(input: KeeperInput) {
    this.#input = input;
  }

  /**
   * What is to be done around a step in its transaction; null where it removes nothing that is to be kept.
   * @param more steps that follow it, and are kept together with it
   */
  apart(step: Step, more: readonly Step[] = []): (() => Promise<Around>) | null {
    const { keeping } = this.#input;
    if (keeping === null) return null;
    const removals = this.#removalsOf(step);
    if (removals.length > 0)
      return () => {
        this.#together = [step, ...more];
        const all =
          more.length === 0 ? removals : [joined(this.#together.flatMap((one) => this.#removalsOf(one)))];
        return this.#save(step.statement, all, keeping);
      };
    if (!this.#oneByOne || step.writes === 'never') return null;
    return async () => (this.#given.has(step.statement) ? notKept : nothingKept);
  }

  /** Whether one look at the tables shows what both have done: they add rows, or set the same columns. */
  areOne(before: Step, step: Step): boolean {
    const [first, second] = [this.#changeBy(before), this.#changeBy(step)];
    if (this.#input.keeping === null || !this.#joins || first === null || second === null) return false;
    if (before.addsRows && step.addsRows) return true;
    const [table] = first.tables;
    const isSame = JSON.stringify([first, before.sets]) === JSON.stringify([second, step.sets]);
    return isSame && step.sets.length > 0 && this.#watch?.areFree(table?.name ?? '', step.sets) === true;
  }

  #areAllOne(steps: readonly Step[]): boolean {
    return steps.every((step, index) => {
      const before = steps[index - 1];
      return before === undefined || this.areOne(before, step);
    });
  }

  /** What a step changes, if that is all and it calls nothing. */
  #changeBy(step: Step): Extract<Removal, { kind: 'changes' }> | null {
    const [first, ...others] = this.#removalsOf(step);
    const isAll = others.length === 0 && first?.kind === 'changes' && first.functions === undefined;
    return isAll && first.unlessPlain !== true ? first : null;
  }

  /** For one try of a segment: looks whether what is kept is all that is written. */
  watch(segment: Segment): WriteWatch | null {
    const { session, keeping, migration, remark } = this.#input;
    const none = keeping === null || segment.rollsBack || segment.runs !== 'transaction';
    const isGiven = ({ statement }: Step): boolean => this.#given.has(statement);
    this.#watch =
      none || segment.steps.every((step) => step.writes === 'never' || isGiven(step))
        ? null
        : new WriteWatch({
            ...{ session, isGiven, remark, atEnd: this.#foundAtEnd, namings: migration.namings },
            updated: segment.steps.flatMap((step) => (step.sets.length > 0 ? tableOf(step) : [])),
            from: segment.steps[0]?.statement ?? 1,
            text: segment.steps.map((step) => this.#textOf(step)).join(';\n'),
            keep: (removal) => this.#save(segment.steps.at(-1)?.statement ?? 1, [removal], keeping),
          });
    return this.#watch;
  }

  /** Whether a failure to keep is taken: the step is then run all the same. */
  givesUp({ step, error }: StepFailure): boolean {
    if (step === null) return false;
    const missed = this.#watch?.missed ?? [];
    if (missed.length > 0 && this.#learnsFrom(missed)) return true;
    // It may be one of them only of which nothing can be kept.
    if (error.code === 'VAULT_CANNOT_KEEP' && this.#together.length > 1 && this.#together.includes(step)) {
      this.#joins = false;
      return true;
    }
    const reason = this.#given.has(step.statement) ? null : this.#wayOut(error);
    if (reason === null) return false;
    for (const one of this.#together.includes(step) ? this.#together : [step]) this.#given.add(one.statement);
    for (const { steps } of missed) for (const { statement } of steps) this.#given.add(statement);
    const remark = `line ${step.line}: what it removes was not kept: ${reason}`;
    this.unkept.push(remark);
    this.#input.remark(remark);
    return true;
  }

  /**
   * A step outside a transaction has none in which it could be saved.
   * @throws StepFailure `VAULT_CANNOT_KEEP`, unless that is allowed
   */
  refuseAlone(step: Step): void {
    if (this.#input.keeping === null || this.#removalsOf(step).length === 0) return;
    const { migration, text } = this.#input;
    const error = new AppError(
      'VAULT_CANNOT_KEEP',
      'What it removes cannot be kept, since it runs outside a transaction.',
    );
    const failure = new StepFailure(
      step,
      locate(error, { migration: migration.name, text }, step, step.offset),
    );
    if (!this.givesUp(failure)) throw failure;
  }

  /** Ids of the entries, those of an attempt before this one among them. */
  async kept(resumed: boolean): Promise<string[]> {
    const { session, keeping, migration, direction } = this.#input;
    if (keeping === null || !(this.#used || resumed)) return [];
    const saved = { operation: keeping.operation, migration: migration.name, direction };
    return readAsVault(session, () => savedBy(session, saved));
  }

  #removalsOf(step: Step): readonly Removal[] {
    if (this.#given.has(step.statement)) return [];
    const found = this.#found.get(step.statement) ?? [];
    return found.reduce((all, missed) => alsoKeeping(all, missed, this.#textOf(step)), step.removals);
  }

  #textOf({ offset, length }: Step): string {
    return this.#input.text.slice(offset, offset + length);
  }

  /**
   * Nothing of the transaction is left, so that it can be tried again with what was missed kept too; but for what acts
   * outside the database.
   */
  #learnsFrom(missed: readonly Missed[]): boolean {
    this.#rounds += 1;
    const steps = missed.flatMap((one) => one.steps);
    const tables = missed.flatMap((one) => one.tables);
    if (this.#rounds > mostRounds || tables.some(isLargeObjects)) return false;
    if (this.#watch?.actedOutside === true) return false;
    for (const one of missed) {
      if (one.steps.length === 0) this.#foundAtEnd = [...this.#foundAtEnd, ...one.tables];
      else if (!one.exact || (one.steps.length > 1 && !this.#areAllOne(one.steps))) this.#oneByOne = true;
      else
        for (const { statement } of one.steps)
          this.#found.set(statement, [...(this.#found.get(statement) ?? []), one]);
    }
    const names = [...new Set(tables.map(({ schema, name }) => `${schema}.${name}`))].join(', ');
    const [first] = steps;
    const lines = [...new Set([first?.line, steps.at(-1)?.line])].join(' to ');
    const where = first === undefined ? 'at the end' : `line ${lines}`;
    this.#input.remark(
      `${where}: wrote to ${names}, which the text does not show; tried again with that kept`,
    );
    return true;
  }

  async #save(
    statement: number,
    removals: readonly Removal[],
    { operation, retentionDays, limitBytes }: Keeping,
  ): Promise<Around> {
    const { session, migration, direction } = this.#input;
    this.#used = true;
    const { name } = migration;
    const context: VaultContext = {
      ...{ operation, migration: name, direction, statement, retentionDays, limitBytes },
      namings: migration.namings.filter((naming) => naming.statement < statement),
      actsOutside: codeActsOutside,
    };
    const all: Saved[] = [];
    for (const removal of removals) all.push(await save(session, removal, context));
    const last = all.toReversed();
    return {
      replaces: all.some(({ replaces }) => replaces),
      keeps: new Set(all.flatMap(({ keeps }) => [...keeps])),
      after: () => inTurn(last, (saved) => saved.after()),
      atEnd: () => inTurn(last, (saved) => saved.atEnd()),
    };
  }

  /** Why nothing need be kept in spite of this error; null where it need. */
  #wayOut({ code, message }: AppError): string | null {
    const { keeping, migration } = this.#input;
    if (code === 'VAULT_FULL' && keeping?.whenFull === 'backup' && keeping.backup !== null)
      return `the vault is full, and backup ${keeping.backup} is the way back`;
    if (code !== 'VAULT_CANNOT_KEEP') return null;
    const allowance = keeping?.allow.find(
      (one) => one.code === code && (one.migration === undefined || one.migration === migration.name),
    );
    return allowance === undefined ? null : `${message} Allowed: ${allowance.reason}`;
  }
}

const tableOf = ({ removals }: Step): string[] =>
  removals.flatMap((one) => (one.kind === 'changes' ? one.tables.map(({ name }) => name) : []));

const joined = (removals: readonly Removal[]): Removal => {
  const tables = removals.flatMap((one) => (one.kind === 'changes' ? one.tables : []));
  const byName = new Map(tables.map((table) => [JSON.stringify([table.schema, table.name]), table]));
  return { kind: 'changes', tables: [...byName.values()] };
};

/** Each round shows at least one step more; a file with more of them is refused. */
const mostRounds = 20;

const isLargeObjects = ({ schema, name }: TableWrites): boolean =>
  schema === 'pg_catalog' && name === largeObjects;

const nothing = async (): Promise<void> => {};
const nothingKept: Around = { replaces: false, keeps: new Set(), after: nothing, atEnd: nothing };
const notKept: Around = { ...nothingKept, keeps: null };

async function inTurn(all: readonly Saved[], act: (saved: Saved) => Promise<void>): Promise<void> {
  for (const one of all) await act(one);
}
