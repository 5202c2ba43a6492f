import type { ErrorRecord } from '../errors.ts';

/** Something that happened to a job; conditions decide whether it is worth telling. */
export interface JobFact {
  readonly type: 'finished' | 'overdue';
  readonly job: {
    readonly id: string;
    readonly kind: string;
    readonly queue: string;
    readonly database: string | null;
    readonly step: string | null;
    readonly requestedBy: string;
  };
  readonly state: 'running' | 'succeeded' | 'failed' | 'cancelled';
  readonly error: ErrorRecord | null;
  /** Migrations that it rolled back, also where it failed afterwards. */
  readonly rolledBack: readonly string[];
  /** How long it ran, or has been running. */
  readonly runningMs: number;
}

/** When an alert is due. To add one: a file in `conditions/`, a line in `conditions/index.ts`. */
export interface Condition {
  readonly name: string;
  readonly severity: 'warning' | 'critical';
  readonly summary: string;
  /** One sentence for people, or null when the fact is none of its business. */
  evaluate(fact: JobFact): string | null;
}

export const defineCondition = (condition: Condition): Condition => Object.freeze(condition);
