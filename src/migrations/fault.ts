import type { Allowance } from '../config.ts';
import { AppError, type ErrorCode } from '../errors.ts';

/** Something about a bundle or a history that warns, or stops a deployment unless it is allowed by name. */
export interface Fault {
  readonly code: ErrorCode;
  readonly severity: 'warn' | 'stop';
  readonly migration: string | null;
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
  /** The reason for which it is allowed. */
  readonly allowed?: string;
}

/** What may be overridden by name. The rest would lose data or cannot work. */
export const allowable: readonly ErrorCode[] = [
  'MIGRATION_DIVERGED',
  'MIGRATION_MISSING',
  'MIGRATION_OUT_OF_ORDER',
  'MIGRATION_ROLLED_BACK',
  'REPLICATION_LAG',
  'BLOCKING_TRANSACTION',
];

/** @throws AppError `ALLOWANCE_UNKNOWN` when an allowance names what cannot be allowed */
export function checkAllowances(allowances: readonly Allowance[]): void {
  const unknown = allowances.find((allowance) => !allowable.some((code) => code === allowance.code));
  if (unknown !== undefined)
    throw new AppError(
      'ALLOWANCE_UNKNOWN',
      `"${unknown.code}" cannot be allowed. These can: ${allowable.join(', ')}.`,
      { code: unknown.code, allowable },
    );
}

/** The faults, each stop that is allowed marked with its reason. */
export const allow = (faults: readonly Fault[], allowances: readonly Allowance[]): Fault[] =>
  faults.map((fault) => {
    const found = allowances.find(
      (allowance) =>
        allowance.code === fault.code &&
        (allowance.migration === undefined || allowance.migration === fault.migration),
    );
    return found === undefined ? fault : { ...fault, allowed: found.reason };
  });

export const stops = (fault: Fault): boolean => fault.severity === 'stop' && fault.allowed === undefined;

/** @throws AppError with the code of the first fault that stops; `details.faults` has all of them */
export function refuseFaults(faults: readonly Fault[]): void {
  const stopping = faults.filter(stops);
  const [first] = stopping;
  if (first === undefined) return;
  const more =
    stopping.length > 1
      ? ` (${stopping.length - 1} more: ${stopping
          .slice(1, 6)
          .map((fault) => fault.code)
          .join(', ')})`
      : '';
  throw new AppError(first.code, `${first.message}${more}`, {
    migration: first.migration,
    line: first.line,
    column: first.column,
    faults: stopping,
  });
}
