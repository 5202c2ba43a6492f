import type { Session } from '../db/session.ts';
import type { RestoreOutcome } from '../vault/restore.ts';
import type { Keeping } from './keeping.ts';
import type { Ledger } from './ledger.ts';
import type { PlannedMigration } from './plan.ts';
import type { HeldLock } from './segment-run.ts';
import type { Step } from './segments.ts';

/** What one migration did. */
export interface MigrationOutcome {
  readonly name: string;
  readonly durationMs: number;
  readonly segments: number;
  readonly tries: number;
  readonly locks: readonly HeldLock[];
  readonly notices: readonly string[];
  /** How the run differed from the plan: splits, retries, what a predecessor had done, what was not kept. */
  readonly remarks: readonly string[];
  /** Ids of the vault's entries that keep what it removed. */
  readonly kept: readonly string[];
  /** What was put back of the vault; empty where an attempt before this one did it. */
  readonly restored: readonly RestoreOutcome[];
  /** What it removed and nothing keeps, in words. */
  readonly unkept: readonly string[];
}

export interface MigrationRun {
  readonly session: Session;
  /** A session that has nothing else to do, to look at what the first one waits for. */
  readonly observer: Session;
  readonly schema: string;
  readonly jobId: string;
  readonly migration: PlannedMigration;
  readonly text: string;
  readonly lockTimeoutMs: number;
  readonly lockBudgetMs: number;
  readonly signal: AbortSignal;
  /** What it writes into history and journal. */
  readonly ledger: Ledger;
  /** How what it removes is kept. */
  readonly keeping: Keeping | null;
  /** What is carried out in a step's place; null for a step whose text is sent. */
  readonly instead: (step: Step) => (() => Promise<void>) | null;
  readonly onStep: (step: Step) => void;
  readonly onRemark: (remark: string) => void;
  /** Whether the session has its settings still: none of the migrations before may have changed them. */
  readonly fresh: boolean;
  /** Prisma's lock is let go of before a statement that waits for snapshots, and taken again after it. */
  readonly releasePrismaLock: () => Promise<void>;
  readonly takePrismaLock: () => Promise<void>;
  /** Resolves when no request to cancel the session's statement is under way. */
  readonly cancelSettled: () => Promise<void>;
}
