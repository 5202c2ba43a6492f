import type { Severity, Verdict } from '../analysis/violation.ts';
import type { Allowance } from '../config.ts';
import type { ErrorRecord } from '../errors.ts';
import type { PreflightCheck } from './preflight.ts';
import type { VerificationCheck } from './verify.ts';

/** What one migration did, for the log. Times are in milliseconds. */
export interface LoggedMigration {
  readonly name: string;
  readonly outcome: 'applied' | 'failed' | 'half applied' | 'not started' | 'rolled back';
  readonly statements: readonly { readonly summary: string; readonly line: number }[];
  readonly segments: number;
  readonly tries: number;
  readonly durationMs: number | null;
  readonly locks: readonly { readonly relation: string; readonly mode: string }[];
  readonly notices: readonly string[];
  /** Ids of the vault's entries that keep what it removed; null where an attempt before the last one applied it. */
  readonly kept: readonly string[] | null;
  /** What it removed and the vault does not keep, in words. */
  readonly unkept: readonly string[];
  /** How it is taken back, and what came of trying that; null where it was not rehearsed. */
  readonly wayBack: {
    readonly source: string;
    readonly outcome: string;
    readonly provenOn: string | null;
    readonly reasons: readonly string[];
  } | null;
  /** Null where the deployment ended before it was analysed. */
  readonly verdict: Verdict | null;
  /** What a rule found, but for opinions and what is safe; with the reason where it was allowed. */
  readonly violations: readonly LoggedViolation[];
}

interface LoggedViolation {
  readonly rule: string;
  readonly severity: Severity;
  readonly line: number;
  readonly message: string;
  readonly allowed: string | null;
}

/** The customer's migration log: what was done, why it may have been, what it did, and how to go back. */
export interface MigrationLog {
  readonly deployment: string;
  readonly database: string;
  readonly environment: string;
  readonly requestedBy: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** `stopped`: what comes before a migration that waits for a data migration is applied. */
  readonly outcome: 'succeeded' | 'stopped' | 'failed' | 'cancelled' | 'nothing to do';
  readonly purpose: string;
  readonly migrations: readonly LoggedMigration[];
  readonly warnings: readonly {
    readonly code: string;
    readonly rule?: string;
    readonly migration: string | null;
    readonly message: string;
    readonly allowed?: string;
  }[];
  readonly allowances: readonly Allowance[];
  /** They worked on tables that this deployment touched, and are left paused. */
  readonly pausedDataMigrations: readonly {
    readonly id: string;
    readonly name: string;
    readonly table: string;
  }[];
  readonly rollbackPlan: string;
  readonly testing: string;
  /** What became of taking back by itself what a failed deployment applied; null where that was not tried. */
  readonly rollback: {
    /** Of the record, see `GET /api/rollbacks/:id`; null where there was no way back that may be used. */
    readonly id: string | null;
    readonly rolledBack: readonly string[];
    readonly error: ErrorRecord | null;
  } | null;
  readonly backup:
    | { readonly id: string; readonly takenAt: string; readonly bytes: number }
    | { readonly none: string };
  readonly preflight: readonly PreflightCheck[];
  readonly verification: readonly VerificationCheck[];
  readonly probes: readonly {
    readonly url: string;
    readonly ok: boolean;
    readonly output: string;
    readonly durationMs: number;
  }[];
  readonly timings: readonly { readonly step: string; readonly durationMs: number }[];
  readonly error: ErrorRecord | null;
}

/** The log as Markdown, for a wiki page or a chat. */
export function toMarkdown(log: MigrationLog): string {
  const sections = [
    `# Migration log: ${log.database}, ${log.startedAt}`,
    table(
      ['', ''],
      [
        ['Outcome', log.outcome],
        ['Deployment', log.deployment],
        ['Environment', log.environment],
        ['Requested by', log.requestedBy],
        ['Finished', log.finishedAt],
      ],
    ),
    `## Purpose\n\n${log.purpose}`,
    ...(log.error === null
      ? []
      : [`## Error\n\n**${log.error.title}** (${log.error.code})\n\n${log.error.detail}`]),
    `## Changes\n\n${log.migrations.map(migrationSection).join('\n\n') || 'None.'}`,
    `## Warnings and allowances\n\n${list([
      ...log.warnings.map(
        (warning) =>
          `${warning.rule ?? warning.code}${warning.migration === null ? '' : ` in ${warning.migration}`}: ${warning.message}`,
      ),
      ...log.allowances.map(
        (allowed) =>
          `allowed ${allowed.code}${allowed.migration === undefined ? '' : ` in ${allowed.migration}`}: ${allowed.reason}`,
      ),
      ...log.pausedDataMigrations.map(
        ({ id, name, table }) =>
          `the data migration ${name} on ${table} was paused and is left so: POST /api/data-migrations/${id}/resume`,
      ),
    ])}`,
    `## Rollback plan\n\n${log.rollbackPlan}`,
    `## Testing\n\n${log.testing}`,
    ...(log.rollback === null ? [] : [`## Rolled back\n\n${rollbackSection(log.rollback)}`]),
    `## Backup\n\n${'none' in log.backup ? `None: ${log.backup.none}` : `${log.backup.id}, taken ${log.backup.takenAt}, ${log.backup.bytes} bytes, read back whole`}`,
    `## Checks\n\n${list([
      ...log.preflight.map((check) => `before: ${check.name}: ${check.status}: ${check.detail}`),
      ...log.verification.map((check) => `after: ${check.name}: ${check.status}: ${check.detail}`),
      ...log.probes.map(
        (probe) =>
          `probe: ${probe.url}: ${probe.ok ? 'pass' : 'fail'}: ${probe.output} (${probe.durationMs} ms)`,
      ),
    ])}`,
    `## Timings\n\n${table(
      ['step', 'ms'],
      log.timings.map((timing) => [timing.step, String(timing.durationMs)]),
    )}`,
  ];
  return `${sections.join('\n\n')}\n`;
}

const rollbackSection = ({ id, rolledBack, error }: NonNullable<MigrationLog['rollback']>): string =>
  [
    ...(rolledBack.length === 0 ? [] : [list(rolledBack)]),
    ...(error === null ? [] : [`**${error.title}** (${error.code})\n\n${error.detail}`]),
    ...(id === null ? [] : [`Rollback ${id} has the whole log.`]),
  ].join('\n\n');

function migrationSection(migration: LoggedMigration): string {
  const facts = [
    migration.outcome,
    ...(migration.verdict === null ? [] : [`verdict ${migration.verdict}`]),
    `${migration.statements.length} statement(s)`,
    `${migration.segments} segment(s)`,
    ...(migration.durationMs === null ? [] : [`${migration.durationMs} ms`]),
    ...(migration.tries > 1 ? [`${migration.tries} tries`] : []),
  ];
  return [
    `### ${migration.name}\n\n${facts.join(', ')}`,
    list(migration.statements.map((statement) => `line ${statement.line}: \`${statement.summary}\``)),
    ...(migration.violations.length === 0
      ? []
      : [`Violations:\n\n${list(migration.violations.map(violationLine))}`]),
    ...(migration.locks.length === 0
      ? []
      : [`Locks held:\n\n${list(migration.locks.map((lock) => `${lock.mode} on ${lock.relation}`))}`]),
    ...(migration.wayBack === null ? [] : [`Way back: ${wayBackLine(migration.wayBack)}`]),
    ...(migration.kept === null || migration.kept.length === 0
      ? []
      : [`Kept in the vault:\n\n${list(migration.kept)}`]),
    ...(migration.unkept.length === 0 ? [] : [`Not kept:\n\n${list(migration.unkept)}`]),
    ...(migration.notices.length === 0 ? [] : [`Notices:\n\n${list(migration.notices)}`]),
  ].join('\n\n');
}

const wayBackLine = ({
  source,
  outcome,
  provenOn,
  reasons,
}: NonNullable<LoggedMigration['wayBack']>): string =>
  `${source}, ${outcome}${provenOn === null ? '' : ` on ${provenOn}`}${reasons.length === 0 ? '' : `: ${reasons.join(' ')}`}`;

const violationLine = ({ rule, severity, line, message, allowed }: LoggedViolation): string =>
  `line ${line}: ${severity}, ${rule}: ${message}${allowed === null ? '' : ` Allowed: ${allowed}`}`;

export const list = (items: readonly string[]): string =>
  items.length === 0 ? 'None.' : items.map((item) => `- ${item}`).join('\n');

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
