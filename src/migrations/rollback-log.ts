import type { ErrorRecord } from '../errors.ts';
import type { RestoreOutcome } from '../vault/restore.ts';
import type { LeftOut, LeftUnvalidated } from './add-constraint.ts';
import { list, type MigrationLog, table } from './migration-log.ts';
import type { LeftNullable } from './restorer.ts';

/** What taking one migration back did. Times are in milliseconds. */
export interface LoggedReversal {
  readonly name: string;
  readonly outcome: 'rolled back' | 'failed' | 'half done' | 'not started';
  readonly wayBack: {
    readonly source: string;
    readonly outcome: string;
    readonly provenOn: string | null;
    readonly reasons: readonly string[];
  };
  readonly statements: readonly { readonly summary: string; readonly line: number }[];
  readonly segments: number;
  readonly tries: number;
  readonly durationMs: number | null;
  readonly locks: readonly { readonly relation: string; readonly mode: string }[];
  readonly notices: readonly string[];
  /** What the vault gave back; what it could not is in its lists of conflicts. */
  readonly restored: readonly RestoreOutcome[];
  /** Columns that were to be NOT NULL and have rows without a value. */
  readonly leftNullable: readonly LeftNullable[];
  /** A CHECK or a foreign key that rows do not hold to. */
  readonly leftUnvalidated: readonly LeftUnvalidated[];
  /** Keys and unique indexes that could not be there again. */
  readonly leftOut: readonly LeftOut[];
  /** Ids of the vault's entries that keep what this removed. */
  readonly kept: readonly string[];
  readonly unkept: readonly string[];
}

/** What a rollback did, and how to go forth again. */
export interface RollbackLog
  extends Pick<
    MigrationLog,
    | 'database'
    | 'environment'
    | 'requestedBy'
    | 'startedAt'
    | 'finishedAt'
    | 'outcome'
    | 'purpose'
    | 'warnings'
    | 'allowances'
    | 'backup'
    | 'preflight'
    | 'verification'
    | 'probes'
    | 'timings'
    | 'error'
  > {
  /** The job. */
  readonly rollback: string;
  /** The deployment that is taken back, where one was named or failed. */
  readonly deployment: string | null;
  /** What made the deployment fail, for a rollback that followed by itself. */
  readonly cause: ErrorRecord | null;
  readonly migrations: readonly LoggedReversal[];
  readonly forward: string;
}

export const conflictsOf = ({ restored }: Pick<LoggedReversal, 'restored'>): number =>
  restored.flatMap(({ conflicts }) => Object.values(conflicts)).reduce((sum, count) => sum + count, 0);

/** The log as Markdown, for a wiki page or a chat. */
export function rollbackToMarkdown(log: RollbackLog): string {
  const sections = [
    `# Rollback log: ${log.database}, ${log.startedAt}`,
    table(
      ['', ''],
      [
        ['Outcome', log.outcome],
        ['Rollback', log.rollback],
        ...(log.deployment === null ? [] : [['Deployment', log.deployment]]),
        ['Environment', log.environment],
        ['Requested by', log.requestedBy],
        ['Finished', log.finishedAt],
      ],
    ),
    `## Purpose\n\n${log.purpose}`,
    ...(log.cause === null
      ? []
      : [`## Cause\n\n**${log.cause.title}** (${log.cause.code})\n\n${log.cause.detail}`]),
    ...(log.error === null
      ? []
      : [`## Error\n\n**${log.error.title}** (${log.error.code})\n\n${log.error.detail}`]),
    `## Changes\n\n${log.migrations.map(reversalSection).join('\n\n') || 'None.'}`,
    `## Warnings and allowances\n\n${list([
      ...log.warnings.map(
        ({ code, migration, message }) =>
          `${code}${migration === null ? '' : ` in ${migration}`}: ${message}`,
      ),
      ...log.allowances.map(
        ({ code, migration, reason }) =>
          `allowed ${code}${migration === undefined ? '' : ` in ${migration}`}: ${reason}`,
      ),
    ])}`,
    `## Going forth again\n\n${log.forward}`,
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

function reversalSection(one: LoggedReversal): string {
  const { outcome, provenOn, source, reasons } = one.wayBack;
  const conflicts = conflictsOf(one);
  const facts = [
    one.outcome,
    `way back: ${source}, ${outcome}${provenOn === null ? '' : ` on ${provenOn}`}`,
    `${one.statements.length} statement(s)`,
    `${one.segments} segment(s)`,
    ...(one.durationMs === null ? [] : [`${one.durationMs} ms`]),
    ...(one.tries > 1 ? [`${one.tries} tries`] : []),
  ];
  return [
    `### ${one.name}\n\n${facts.join(', ')}`,
    list(one.statements.map((statement) => `line ${statement.line}: \`${statement.summary}\``)),
    ...part('Why the way back is not proven', reasons),
    ...part(
      'Put back from the vault',
      one.restored.map(({ schema, table: name, restored }) => `${schema}.${name}: ${restored} row(s)`),
    ),
    ...part(
      `Conflicts (${conflicts}): left as they are now, and kept in the vault`,
      one.restored.flatMap((outcomes) =>
        Object.entries(outcomes.conflicts).map(
          ([reason, count]) =>
            `${outcomes.schema}.${outcomes.table}: ${count}, ${reason} (entry ${outcomes.id})`,
        ),
      ),
    ),
    ...part(
      'Left nullable, since rows have no value',
      one.leftNullable.map(({ table: name, column, rows }) => `${name}.${column}: ${rows} row(s)`),
    ),
    ...part(
      'Left NOT VALID, since rows do not hold to it',
      one.leftUnvalidated.map(
        ({ table: name, constraint, rows }) => `${constraint} of ${name}: ${rows} row(s)`,
      ),
    ),
    ...part(
      'Left out, since it is not unique any more',
      one.leftOut.map(
        ({ table: on, name, values, rows, without }) =>
          `${name} of ${on}: ${values} value(s) in ${rows} rows, ${without} row(s) without one`,
      ),
    ),
    ...part('Kept in the vault', one.kept),
    ...part('Not kept', one.unkept),
    ...part(
      'Locks held',
      one.locks.map((lock) => `${lock.mode} on ${lock.relation}`),
    ),
    ...part('Notices', one.notices),
  ].join('\n\n');
}

const part = (title: string, items: readonly string[]): string[] =>
  items.length === 0 ? [] : [`${title}:\n\n${list(items)}`];
