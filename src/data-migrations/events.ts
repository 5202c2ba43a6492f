import type { ErrorRecord } from '../errors.ts';
import type { KeyValues } from './keys.ts';
import type { Control } from './progress.ts';

export interface DataMigrationProgress {
  /** Rows that were gone through, whether or not they needed it. */
  readonly scanned: number;
  readonly changed: number;
  readonly quarantined: number;
  /** Of the rows that were there at the start; null where nobody can say. */
  readonly total: number | null;
  /** Counted; otherwise the planner's guess. */
  readonly exact: boolean;
  readonly rowsPerSecond: number;
  readonly secondsLeft: number | null;
  /** Ranges that are not done. */
  readonly ranges: number;
}

/** What is told while a data migration runs. */
export type DataMigrationEvent =
  | {
      readonly type: 'begun';
      readonly key: readonly string[];
      readonly ranges: number;
      readonly estimate: number | null;
    }
  | { readonly type: 'resumed'; readonly progress: DataMigrationProgress }
  | { readonly type: 'orphans-ended'; readonly count: number }
  /** At most once a second, and at the end. */
  | { readonly type: 'progress'; readonly progress: DataMigrationProgress }
  /** Somebody changed parallelism, pace or limits, or asked for a pause. */
  | { readonly type: 'control'; readonly control: Control }
  /** A batch was rolled back and is tried again. */
  | { readonly type: 'retrying'; readonly reason: string; readonly rows: number }
  /** The databases are tried again after an outage. */
  | { readonly type: 'reconnecting'; readonly reason: string }
  | { readonly type: 'row-at-fault'; readonly key: KeyValues; readonly error: ErrorRecord }
  | { readonly type: 'range-split'; readonly range: string }
  | { readonly type: 'vacuumed'; readonly tookMs: number }
  | { readonly type: 'written'; readonly progress: DataMigrationProgress }
  /** Two tables have changed places; `tookMs`: in one transaction, from its first lock on. */
  | { readonly type: 'swapped'; readonly table: string; readonly tookMs: number };
