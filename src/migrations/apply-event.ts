import type { LockWait } from './locks.ts';
import type { MigrationOutcome } from './migration-run.ts';
import type { Step } from './segments.ts';

/** What an application tells while it runs. */
export type ApplyEvent =
  | { readonly type: 'waiting'; readonly wait: LockWait }
  | { readonly type: 'orphans ended'; readonly count: number }
  | {
      readonly type: 'migration started';
      readonly migration: string;
      readonly index: number;
      readonly of: number;
    }
  | { readonly type: 'step'; readonly migration: string; readonly step: Step }
  | {
      readonly type: 'statement progress';
      readonly migration: string;
      readonly phase: string;
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: 'remark'; readonly migration: string; readonly remark: string }
  | { readonly type: 'migration applied'; readonly outcome: MigrationOutcome };
