import type { AppError } from '../errors.ts';
import type { Step } from './segments.ts';

/** A statement that failed: which, and how PostgreSQL put it. `step` is null when COMMIT failed (deferred constraints). */
export class StepFailure extends Error {
  readonly step: Step | null;
  readonly error: AppError;
  /** Who was in the way when the statement waited for locks; empty when nobody was seen. */
  readonly blockers: string;

  constructor(step: Step | null, error: AppError, blockers = '') {
    super(error.message, { cause: error });
    this.name = 'StepFailure';
    this.step = step;
    this.error = error;
    this.blockers = blockers;
  }
}

/** A statement that ran alone and took effect, but whose outcome could not be written. */
export class UnrecordedStep extends Error {
  readonly error: AppError;

  constructor(error: AppError) {
    super(error.message, { cause: error });
    this.name = 'UnrecordedStep';
    this.error = error;
  }
}
