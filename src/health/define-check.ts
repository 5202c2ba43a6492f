import type { Session } from '../db/session.ts';

export type HealthStatus = 'pass' | 'warn' | 'fail';

/** What one check found. `output` says what it means, and what to do, where the status is not `pass`. */
export interface CheckFinding {
  readonly status: HealthStatus;
  readonly observedValue?: number;
  readonly observedUnit?: string;
  readonly output?: string;
}

/**
 * One cheap check of a database, run in a session of its own database that the checks share, one after the other.
 * To add one: a file in `checks/`, a line in `checks/index.ts`. What `run` throws makes the check fail.
 */
export interface HealthCheck {
  /** Stands in the outcome as `<database>:<name>`. */
  readonly name: string;
  readonly timeoutMs: number;
  run(session: Session): Promise<CheckFinding>;
}

export const defineCheck = (check: HealthCheck): HealthCheck => Object.freeze(check);
