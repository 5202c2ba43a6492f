import type { Session } from '../db/session.ts';
import { AppError } from '../errors.ts';
import { savedBy } from '../vault/list.ts';
import type { Direction, Saved } from '../vault/removals.ts';
import { save } from '../vault/save.ts';
import type { Keeping } from './keeping.ts';
import { locate } from './message.ts';
import type { PlannedMigration } from './plan.ts';
import type { Around } from './run-segment.ts';
import type { Step } from './segments.ts';
import { StepFailure } from './step-failure.ts';

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
  #used = false;
  /** What was removed and is not kept, in words. */
  readonly unkept: string[] = [];

  constructor(input: KeeperInput) {
    this.#input = input;
  }

  /** What is to be done around a step in its transaction; null where it removes nothing that is to be kept. */
  apart(step: Step): (() => Promise<Around>) | null {
    const { keeping } = this.#input;
    if (keeping === null || step.removals.length === 0 || this.#given.has(step.statement)) return null;
    return () => this.#save(step, keeping);
  }

  /** Whether a failure to keep is taken: the step is then run all the same. */
  givesUp({ step, error }: StepFailure): boolean {
    const reason = step === null || this.#given.has(step.statement) ? null : this.#wayOut(error);
    if (step === null || reason === null) return false;
    this.#given.add(step.statement);
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
    if (this.apart(step) === null) return;
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
    return savedBy(session, { operation: keeping.operation, migration: migration.name, direction });
  }

  async #save(step: Step, { operation, retentionDays, limitBytes }: Keeping): Promise<Around> {
    const { session, migration, direction } = this.#input;
    this.#used = true;
    const { statement } = step;
    const { name } = migration;
    const namings = migration.namings.filter((naming) => naming.statement < statement);
    const context = { operation, migration: name, direction, statement, retentionDays, limitBytes, namings };
    const all: Saved[] = [];
    for (const removal of step.removals) all.push(await save(session, removal, context));
    const last = all.toReversed();
    return {
      replaces: all.some(({ replaces }) => replaces),
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

async function inTurn(all: readonly Saved[], act: (saved: Saved) => Promise<void>): Promise<void> {
  for (const one of all) await act(one);
}
