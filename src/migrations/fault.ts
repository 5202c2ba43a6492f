import { rules } from '../analysis/rules/index.ts';
import type { Effect } from '../analysis/violation.ts';
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
  /** Of a violation (`PLAN_HAS_VIOLATIONS`): its rule, by whose id it is allowed. */
  readonly rule?: string;
  readonly effect?: Effect | null;
  readonly table?: string | null;
  readonly remedy?: string | null;
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
  'VAULT_CANNOT_KEEP',
  'SCHEMA_DRIFTED',
  'REHEARSAL_FAILED',
  'ROLLBACK_NOT_PROVEN',
  'ROLLBACK_LOSES_DATA',
  'ROLLBACK_DUPLICATES',
  'DATA_MIGRATION_REQUIRED',
  'TABLE_BUSY',
];

const ownRules: ReadonlySet<string> = new Set(rules.map(({ id }) => id));

/**
 * @param known ids of all rules; those of our own when absent
 * @throws AppError `ALLOWANCE_UNKNOWN` when an allowance names what cannot be allowed
 */
export function checkAllowances(
  allowances: readonly Allowance[],
  known: ReadonlySet<string> = ownRules,
): void {
  const unknown = allowances.find(({ code }) => !allowable.some((one) => one === code) && !known.has(code));
  if (unknown !== undefined)
    throw new AppError(
      'ALLOWANCE_UNKNOWN',
      `"${unknown.code}" cannot be allowed. These can: ${allowable.join(', ')}, and every rule by its id, such as drop-table.`,
      { code: unknown.code, allowable, rules: [...known].sort() },
    );
}

/** The name by which a fault is allowed. */
export const nameOf = ({ rule, code }: Fault): string => rule ?? code;

/** The faults, each stop that is allowed marked with its reason. */
export const allow = (faults: readonly Fault[], allowances: readonly Allowance[]): Fault[] =>
  faults.map((fault) => {
    const found = allowances.find(
      (allowance) =>
        allowance.code === nameOf(fault) &&
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
  const { code, migration, line, column, rule, remedy } = first;
  const more =
    stopping.length > 1
      ? ` (${stopping.length - 1} more: ${[...new Set(stopping.slice(1).map(nameOf))].slice(0, 5).join(', ')})`
      : '';
  throw new AppError(code, `${first.message}${rule === undefined ? '' : wayOut(rule, remedy)}${more}`, {
    migration,
    line,
    column,
    ...(rule === undefined ? {} : { rule, remedy }),
    faults: stopping,
  });
}

const wayOut = (rule: string, remedy: string | null | undefined): string =>
  ` Nothing was done.${remedy == null ? '' : ` Instead: ${remedy}`} If it is meant, allow "${rule}" with a reason.`;
