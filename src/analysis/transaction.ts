import { runsAs } from '../sql/classify.ts';
import type { Statement } from '../sql/split.ts';
import type { HeldLock, TransactionState } from './context.ts';
import { type Lock, strength } from './locks.ts';
import type { Visited } from './walk.ts';

/**
 * The transaction that a file's statements share, as Switchback runs them: one for the file, unless it begins and
 * commits its own, or has a statement that PostgreSQL refuses inside one.
 */
export class Transaction implements TransactionState {
  readonly held = new Map<string, HeldLock>();
  readonly addedLabels = new Map<string, string[]>();
  readonly settings = new Map<string, string | null>();
  readonly written = new Set<string>();
  explicit = false;

  /** Notes what a change takes and sets. */
  record({ change, statement, embedded }: Visited, locks: readonly Lock[]): void {
    if (change.kind === 'transaction') {
      this.#end();
      if (change.action === 'begin') this.explicit = true;
      return;
    }
    if (!embedded && standsAlone(statement)) {
      this.#end();
      return;
    }
    if (writing.has(change.kind) && 'table' in change) this.written.add(change.table);
    if (change.kind === 'setting') this.settings.set(change.name, change.value);
    if (change.kind === 'addEnumValue')
      this.addedLabels.set(change.type, [...(this.addedLabels.get(change.type) ?? []), change.label]);
    for (const { table, mode } of locks) {
      const before = this.held.get(table);
      if (before === undefined || strength(mode) > strength(before.mode))
        this.held.set(table, { mode, line: statement.line });
    }
  }

  #end(): void {
    this.held.clear();
    this.addedLabels.clear();
    this.explicit = false;
  }
}

const writing: ReadonlySet<string> = new Set(['update', 'insert', 'delete', 'merge', 'copy']);

const standsAlone = (statement: Statement): boolean => runsAs(statement) === 'alone';
