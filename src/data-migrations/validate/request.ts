/** What is asked of a validation, and what it answers. */
import type { Target } from '../../db/target.ts';

/** One side of a comparison. */
export interface ComparedTable {
  /** Name of the registered database, for messages; two sides of one name are read in one snapshot. */
  readonly database: string;
  readonly target: Target;
  readonly schema: string;
  readonly table: string;
  /** An SQL expression over the table's columns: only rows for which it is true are compared. */
  readonly where?: string | undefined;
}

/** Which columns make a row, and which of them are compared. */
export interface Mapping {
  readonly source: ComparedTable;
  readonly target: ComparedTable;
  /** Columns of the target; the first of its keys that the source has as well when absent. */
  readonly key?: readonly string[] | undefined;
  /**
   * Columns of the target with what they come from: a column of the source by its exact name, else an SQL expression
   * over the source's columns. All columns of the target from those of the same name when absent.
   */
  readonly columns?: Readonly<Record<string, string>> | undefined;
}

export interface ValidationRequest extends Mapping {
  /** Whether rows that only the target has are differences. */
  readonly extraRows: 'refused' | 'allowed';
  /** Sessions for each database. */
  readonly parallelism: number;
  /** Before rows that differ are compared again, in milliseconds. */
  readonly pauseMs: number;
  /** How often rows that differ are compared again before they are named as moving. */
  readonly tries: number;
  /** At most so many differences are listed, and so many moving rows. */
  readonly listed: number;
  /** `redacted`: of differences only keys and columns are told. */
  readonly values: 'shown' | 'redacted';
}

export interface PhaseProgress {
  readonly done: number;
  readonly total?: number;
  readonly unit?: string;
  readonly message?: string;
}

export type PhaseName = 'prepare' | 'compare' | 'locate' | 'compareAgain';

/** Where a validation runs. */
export interface ValidationContext {
  /** At most 63 bytes. */
  readonly applicationName: string;
  readonly signal: AbortSignal;
  /** Runs one named part, which reports its progress. */
  phase<T>(name: PhaseName, work: (progress: (report: PhaseProgress) => void) => Promise<T>): Promise<T>;
}

export type DifferenceKind = 'missing' | 'extra' | 'changed';

/** Values are texts, under ISO dates and UTC; long ones are cut. */
type Values = Readonly<Record<string, string | null>>;

export interface Difference {
  /** `missing`: only the source has the row; `extra`: only the target; `changed`: both, with other values. */
  readonly kind: DifferenceKind;
  readonly key: Values;
  /** The columns of the target that differ; none of a row that is missing or extra. */
  readonly columns: readonly string[];
  /** What the source's row makes of them; all columns of a missing row. Absent where values are redacted. */
  readonly expected?: Values;
  /** What the target has; all columns of an extra row. Absent where values are redacted. */
  readonly found?: Values;
}

/** How values are made comparable. */
export type Method = 'types' | 'text' | 'text-sha256';

export interface ValidationOutcome {
  /** No difference was found. Rows that moved are no differences; they are counted in `moving`. */
  readonly same: boolean;
  readonly method: Method;
  readonly rows: { readonly source: number; readonly target: number };
  readonly key: readonly string[];
  readonly columns: readonly string[];
  /** Columns of either table that no compared one comes from. */
  readonly notCompared: { readonly source: readonly string[]; readonly target: readonly string[] };
  readonly buckets: { readonly compared: number; readonly differing: number };
  readonly differences: Readonly<Record<DifferenceKind | 'total', number>> & {
    /** Of the total: more rows differed than are compared again. */
    readonly comparedOnce: number;
    readonly listed: readonly Difference[];
  };
  /** Rows that differed at every try, and changed between any two. */
  readonly moving: { readonly total: number; readonly listed: readonly Values[] };
  /** Rows that differed at first and were the same when they were compared again. */
  readonly settled: number;
}
