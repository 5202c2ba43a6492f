/** The vocabulary of a verdict. */

/** The customer's three verdicts, and opinions that are never part of one. Weakest first. */
export const severities = ['notice', 'safe', 'caution', 'dangerous'] as const;
export type Severity = (typeof severities)[number];
export type Verdict = Exclude<Severity, 'notice'>;

/** What a migration does to tables that existed before it. */
export const effects = [
  'rewrite',
  'indexBuild',
  'foreignKeyScan',
  'checkScan',
  'notNullScan',
  'longExclusiveLock',
  'dataLoss',
  'breaksOldVersion',
  'mayFailOnData',
] as const;
export type Effect = (typeof effects)[number];

/** One place where a rule fires. */
export interface Violation {
  readonly rule: string;
  readonly severity: Severity;
  readonly effect: Effect | null;
  /** As `schema.name`; null where it concerns no single table. */
  readonly table: string | null;
  /** 1-based, in the migration's file; columns count characters. */
  readonly line: number;
  readonly column: number;
  /** What happens: the lock, the table, what it blocks, for how long and why. */
  readonly message: string;
  /** What to do instead, with SQL for this very statement. Null where nothing need be done. */
  readonly remedy: string | null;
  /** The reason for which a comment in the file allows it. It then has no part in the verdict. */
  readonly suppressed?: string;
}

export const isWorse = (a: Severity, b: Severity): boolean => severities.indexOf(a) > severities.indexOf(b);

/** The worst severity of what counts: not notices, not what is suppressed. */
export const verdictOf = (violations: readonly Violation[]): Verdict =>
  violations.reduce<Verdict>(
    (worst, { severity, suppressed }) =>
      suppressed === undefined && severity !== 'notice' && isWorse(severity, worst) ? severity : worst,
    'safe',
  );

export const worst = (verdicts: readonly Verdict[]): Verdict =>
  verdicts.reduce((found, verdict) => (isWorse(verdict, found) ? verdict : found), 'safe');
