import type { RowAtFault } from '../define-kind.ts';
import type { TransformOutcome } from './request.ts';

/** Rows that were left out, for the quarantine. Keys are never null. */
export const faultsOf = ({ faults }: TransformOutcome): RowAtFault[] =>
  faults.map(({ key, error }) => ({ key: key.map((value) => value ?? ''), error }));
