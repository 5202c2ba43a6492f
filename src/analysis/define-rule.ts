import type { ChangeKind, ChangeOf } from './changes/change.ts';
import type { Context } from './context.ts';
import type { Work } from './estimate.ts';
import type { FolderContext, MigrationContext } from './folder.ts';
import type { Effect, Severity } from './violation.ts';

/** What a rule says of one place; the rest comes from the rule and the place. */
export interface Finding {
  /** Key of the table concerned. */
  readonly table?: string | null;
  readonly message: string;
  readonly remedy?: string;
  /** Where it is not the rule's own. */
  readonly severity?: Severity;
  readonly effect?: Effect | null;
  /** Byte in the file; without it the statement's first. */
  readonly at?: number | null;
  /**
   * What takes long while the lock is held: with a database's figures the seconds are named, and a brief one makes the
   * finding safe.
   */
  readonly work?: Work;
}

/** Of a whole file: the place is named; without one it is the file's first line. */
export interface PlacedFinding extends Finding {
  readonly line?: number;
  readonly column?: number;
}

/** Of a folder: null for the folder itself. */
export interface FolderFinding extends PlacedFinding {
  readonly migration: string | null;
}

/**
 * A named check. Pure: it looks at one change and what is known before it, and says what that change does; or at a file
 * or a folder as a whole. A new rule is one file here, its `bad.sql` and `good.sql` under test/fixtures/rules, and one
 * line in `rules/index.ts`.
 */
export interface Rule<K extends ChangeKind = ChangeKind> {
  /** As its file is named. */
  readonly id: string;
  /** Where no finding says otherwise. */
  readonly severity: Severity;
  readonly effect: Effect | null;
  /** What triggers it, in one line. */
  readonly summary: string;
  /** What it does to a running application, and why: the body of its documentation page. */
  readonly why: string;
  /** The rules of other tools with the same effect in view, as `<tool>: <their name>`. */
  readonly peers: readonly string[];
  /** Kinds of change that it looks at. */
  readonly on?: readonly K[];
  check?(change: ChangeOf<K>, context: Context): Finding | readonly Finding[] | null;
  /** Looks at a whole file, after its last statement. */
  checkMigration?(migration: MigrationContext): readonly PlacedFinding[];
  /** Looks at the folder as a whole: its names, its order, its history. */
  checkFolder?(folder: FolderContext): readonly FolderFinding[];
}

/** Nothing but types: `on` decides what `check` is given. */
export const defineRule = <const K extends ChangeKind = never>(rule: Rule<K>): Rule =>
  Object.freeze(rule) as unknown as Rule;
