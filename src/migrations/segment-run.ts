import type { Session } from '../db/session.ts';
import type { Segment, Step } from './segments.ts';
import type { StepFailure } from './step-failure.ts';
import type { WriteWatch } from './write-watch.ts';

/** A relation-level lock that a segment held when it was about to commit. */
export interface HeldLock {
  readonly relation: string;
  readonly mode: string;
}

export interface SegmentOutcome {
  readonly tries: number;
  readonly locks: readonly HeldLock[];
}

/** What is left to do of a step that is set apart, once its transaction has been prepared for it. */
export interface Around {
  /** Whether the step has been carried out, so that its text is not sent. */
  readonly replaces: boolean;
  /** Oids of the tables of which all is kept that the step writes; null where nothing is to be kept. */
  readonly keeps: ReadonlySet<number> | null;
  /** After the step. */
  after(): Promise<void>;
  /** As the last before COMMIT. */
  atEnd(): Promise<void>;
}

export interface SegmentRun {
  readonly session: Session;
  /** A session that has nothing else to do, to look at what the first one waits for. */
  readonly observer: Session;
  readonly migration: string;
  readonly text: string;
  readonly segment: Segment;
  /** Commands that are sent first, in a message of their own. */
  readonly before: readonly string[];
  /** SQL that is the last of the segment's transaction, or follows a segment that has none; empty for none. */
  readonly after: string;
  /** Whether the file sets `lock_timeout` itself: then that holds. */
  readonly ownLockTimeout: boolean;
  readonly lockTimeoutMs: number;
  readonly lockBudgetMs: number;
  readonly signal: AbortSignal;
  readonly onStep: (step: Step) => void;
  /** What is done around a step, or in its place, in its transaction; null for one that runs with its neighbours. */
  readonly apart: (step: Step, more?: readonly Step[]) => (() => Promise<Around>) | null;
  /** Whether the same is done around a step and the one after it, for both at once: then `apart` gets `more`. */
  readonly areOne: (before: Step, step: Step) => boolean;
  /** Looks whether everything that is written is kept, for one try; null where nothing can be missed. */
  readonly watch: () => WriteWatch | null;
  /** Whether a step that failed is now no longer set apart, so that the segment may be tried again at once. */
  readonly givesUp: (failure: StepFailure) => boolean;
  /** Before the segment is tried again; what the failed try left is to be removed here. */
  readonly onRetry: (failure: StepFailure, attempt: number) => Promise<void>;
}
