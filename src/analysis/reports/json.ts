/** The report for programs. Keys keep their names and order; new ones may join them. */
import type { Analysis, MigrationAnalysis, StatementAnalysis } from '../analyse.ts';
import type { Lock } from '../locks.ts';
import type { Quality } from '../quality.ts';
import type { Summary } from '../summary.ts';
import type { Effect, Severity, Verdict, Violation } from '../violation.ts';
import { type Report, type ReportOptions, shown } from './report.ts';

export interface JsonReport {
  readonly verdict: Verdict;
  /** In the order in which they are applied. */
  readonly migrations: readonly JsonMigration[];
  /** Of the folder itself. */
  readonly violations: readonly JsonViolation[];
  readonly summary: Summary;
  readonly quality: Quality;
  /** What the verdict rests on. */
  readonly basis: Analysis['basis'];
}

export type JsonAnalysis = Pick<JsonReport, 'verdict' | 'migrations' | 'violations' | 'basis'>;

export interface JsonMigration {
  readonly name: string;
  readonly verdict: Verdict;
  readonly effects: readonly Effect[];
  readonly violations: readonly JsonViolation[];
  readonly statements: readonly JsonStatement[];
}

export interface JsonViolation {
  readonly rule: string;
  readonly severity: Severity;
  readonly effect: Effect | null;
  /** As `schema.name`. */
  readonly table: string | null;
  /** 1-based; columns count characters. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly remedy: string | null;
  /** The reason for which a comment in the file allows it. */
  readonly suppressed?: string;
}

/** Without its text, which may hold data. */
export interface JsonStatement {
  readonly line: number;
  readonly column: number;
  readonly verdict: Verdict;
  /** On tables that existed before the migration; each once. */
  readonly locks: readonly Lock[];
}

export function toJson({ analysis, summary, quality }: Report, options: ReportOptions = {}): JsonReport {
  const { basis, ...judged } = analysisToJson(analysis, options);
  return { ...judged, summary, quality, basis };
}

/** The analysis alone, without what a report adds to it. */
export function analysisToJson(analysis: Analysis, options: ReportOptions = {}): JsonAnalysis {
  const violations = (all: readonly Violation[]): JsonViolation[] => shown(all, options).map(toViolation);
  return {
    verdict: analysis.verdict,
    migrations: analysis.migrations.map((migration) =>
      toMigration(migration, violations(migration.violations)),
    ),
    violations: violations(analysis.violations),
    basis: { facts: analysis.basis.facts, previousSchema: analysis.basis.previousSchema },
  };
}

const toMigration = (
  { name, verdict, effects, statements }: MigrationAnalysis,
  violations: readonly JsonViolation[],
): JsonMigration => ({
  name,
  verdict,
  effects: [...effects],
  violations,
  statements: statements.map(toStatement),
});

const toViolation = ({
  rule,
  severity,
  effect,
  table,
  line,
  column,
  message,
  remedy,
  suppressed,
}: Violation): JsonViolation => ({
  rule,
  severity,
  effect,
  table,
  line,
  column,
  message,
  remedy,
  ...(suppressed === undefined ? {} : { suppressed }),
});

const toStatement = ({ line, column, verdict, locks }: StatementAnalysis): JsonStatement => ({
  line,
  column,
  verdict,
  locks: unique(locks),
});

/** Three parts of one ALTER TABLE take the same lock three times. */
const unique = (locks: readonly Lock[]): Lock[] => [
  ...new Map(locks.map(({ table, mode }) => [`${mode} ${table}`, { table, mode }])).values(),
];
