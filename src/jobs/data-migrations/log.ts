/** The log of a data migration, as far as it came: for the record, a wiki page or a chat. */
import type { Judgement } from '../../data-migrations/check.ts';
import type { DataMigrationProgress } from '../../data-migrations/events.ts';
import type { DataMigrationSpec } from '../../data-migrations/spec.ts';
import { toJson } from '../../db/control/job-rows.ts';
import type { AppError, ErrorRecord } from '../../errors.ts';
import { requireDataMigration } from './records.ts';
import type { RunningDataMigration } from './run.ts';

export interface DataMigrationLog {
  readonly dataMigration: string;
  readonly name: string;
  readonly database: string;
  readonly writtenDatabase: string;
  readonly environment: string;
  readonly requestedBy: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly outcome: 'finished' | 'failed' | 'cancelled';
  readonly purpose: string;
  readonly rows: Pick<DataMigrationProgress, 'scanned' | 'changed' | 'quarantined' | 'total'>;
  /** Of the job's last attempt. */
  readonly attempt: number;
  readonly timings: readonly { readonly step: string; readonly durationMs: number }[];
  /** How often the throttle let it pause, and for how long in all. */
  readonly pauses: { readonly count: number; readonly totalMs: number };
  readonly validation: Pick<Judgement, 'passed' | 'by' | 'says' | 'quarantined'> | null;
  readonly flag: { readonly key: string; readonly state: 'on' | 'off' } | null;
  /** What can be done about it afterwards. */
  readonly wayBack: string;
  readonly error: ErrorRecord | null;
}

/** Also of what failed or was cancelled; of one that only rests there is none. */
export async function storeDataMigrationLog(
  running: RunningDataMigration,
  error: AppError | null,
): Promise<void> {
  const { deps, log } = running.context;
  try {
    const made = await logOf(running, error);
    if (made === null) return;
    await deps.control.prisma.dataMigration.update({
      where: { id: made.dataMigration },
      data: { report: toJson({ ...made, markdown: dataMigrationToMarkdown(made) }) },
    });
  } catch (fault) {
    // What became of the data migration is not decided by its log.
    log.warn({ err: fault }, 'the log of a data migration could not be written');
  }
}

async function logOf(
  { context: { deps, job }, record: { id }, spec, source, teller }: RunningDataMigration,
  error: AppError | null,
): Promise<DataMigrationLog | null> {
  const record = await requireDataMigration(deps.control, id);
  const { ended, flag } = record;
  if (error?.code === 'JOB_CANCELLED' && ended === null) return null;
  const { name, database, writtenDatabase, requestedBy, createdAt } = record;
  const progress = (record.progress ?? teller.last) as unknown as DataMigrationProgress;
  const { scanned, changed, quarantined, total } = progress;
  const judged = record.validation as Judgement | null;
  const validation = judged && {
    passed: judged.passed,
    by: judged.by,
    says: judged.says,
    quarantined: judged.quarantined,
  };
  return {
    ...{ dataMigration: id, name, database, writtenDatabase, requestedBy },
    environment: source.database.environment,
    startedAt: createdAt.toISOString(),
    finishedAt: new Date().toISOString(),
    outcome: ended === 'finished' || ended === 'cancelled' ? ended : 'failed',
    purpose: purposeOf(spec),
    rows: { scanned, changed, quarantined, total },
    ...{ attempt: job.attempt, timings: teller.timings, pauses: teller.pauses, validation },
    flag: flag === null ? null : { key: flag, state: ended === 'finished' ? 'on' : 'off' },
    wayBack: wayBackOf(spec),
    error: error?.toRecord() ?? null,
  };
}

function purposeOf({ kind, table, where, ...spec }: DataMigrationSpec): string {
  const { set, to } = spec as { set?: object; to?: { table: string } };
  const what = [
    ...(set === undefined ? [] : [`sets ${Object.keys(set).join(', ')}`]),
    ...(to === undefined ? [] : [`into ${to.table}`]),
    ...(where === undefined ? [] : [`where ${where}`]),
  ];
  return `${kind} of ${table}${what.length === 0 ? '' : `: ${what.join(', ')}`}.`;
}

/** Values that are overwritten are kept nowhere: whoever needs them back has the backup. */
function wayBackOf({ kind }: DataMigrationSpec): string {
  if (kind === 'copy') return 'What was read is as it was: the rows that were written can be deleted.';
  if (kind === 'archive')
    return 'The rows are where they were moved to: another data migration moves them back.';
  return 'What was there before is kept nowhere but in backups. Another data migration may set it anew.';
}

const table = (rows: readonly (readonly string[])[]): string =>
  [
    '|  |  |',
    '| --- | --- |',
    ...rows.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`),
  ].join('\n');

function dataMigrationToMarkdown(log: DataMigrationLog): string {
  const { scanned, changed, quarantined, total } = log.rows;
  const sections = [
    `# Data migration log: ${log.name} in ${log.database}, ${log.startedAt}`,
    table([
      ['Outcome', log.outcome],
      ['Data migration', log.dataMigration],
      ['Written database', log.writtenDatabase],
      ['Environment', log.environment],
      ['Requested by', log.requestedBy],
      ['Finished', log.finishedAt],
    ]),
    `## Purpose\n\n${log.purpose}`,
    ...(log.error === null
      ? []
      : [`## Error\n\n**${log.error.title}** (${log.error.code})\n\n${log.error.detail}`]),
    `## Changes\n\n${scanned} of ${total ?? 'an unknown number of'} rows were gone through, ${changed} changed; ${quarantined} are in the quarantine.`,
    `## Way back\n\n${log.wayBack}`,
    `## Validation\n\n${log.validation === null ? 'Not reached.' : `${log.validation.passed ? 'Passed' : 'Not passed'}, by ${log.validation.by}: ${log.validation.says}.`}`,
    ...(log.flag === null ? [] : [`## Flag\n\n${log.flag.key} is ${log.flag.state}.`]),
    `## Timings\n\n${table([
      ['attempt', String(log.attempt)],
      ...log.timings.map(({ step, durationMs }) => [step, `${durationMs} ms`]),
      ['pauses by the throttle', `${log.pauses.count}, ${log.pauses.totalMs} ms`],
    ])}`,
  ];
  return `${sections.join('\n\n')}\n`;
}
