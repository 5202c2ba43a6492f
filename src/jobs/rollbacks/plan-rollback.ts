import type { Allowance, DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import type { Session } from '../../db/session.ts';
import { withSession } from '../../db/session.ts';
import { parseTarget } from '../../db/target.ts';
import type { ErrorRecord } from '../../errors.ts';
import { allow, checkAllowances, type Fault } from '../../migrations/fault.ts';
import { type History, type HistoryRow, readHistory } from '../../migrations/history.ts';
import type { PlannedMigration } from '../../migrations/plan.ts';
import { planStatements } from '../../migrations/plan-migration.ts';
import { removalsOf } from '../../migrations/removals.ts';
import { readReversal } from '../../migrations/reversal-text.ts';
import { savedEntries } from '../../migrations/saved-entries.ts';
import type { Reversal } from '../../migrations/take-back.ts';
import { loadParser, SyntaxFault } from '../../sql/parse.ts';
import { deployedBy } from '../deployments/deployed-by.ts';
import { appliedRows, chooseRows, type RollbackChoice } from './choose-rollback.ts';
import { findWaysBack } from './find-ways-back.ts';
import { lostData } from './lost-data.ts';
import { findSources, sourceOf } from './rollback-sources.ts';
import { begunWayBack, type WayBack } from './way-back.ts';

/** How one migration will be taken back. JSON-safe. */
export interface PlannedReversal
  extends Reversal,
    Pick<WayBack, 'source' | 'outcome' | 'provenOn' | 'reasons'>,
    Pick<PlannedMigration, 'segments' | 'relations' | 'journalled'> {}

/** What a rollback will do, in this order. It is kept with the record: a successor goes on with the same texts. */
export interface RollbackPlan {
  readonly migrations: readonly PlannedReversal[];
  readonly faults: readonly Fault[];
  /** What made the deployment fail, for a rollback that follows by itself. */
  readonly cause: ErrorRecord | null;
}

export interface RollbackRequest {
  readonly control: Control;
  readonly database: DatabaseConfig;
  readonly jobId: string;
  readonly signal: AbortSignal;
  readonly allow: readonly Allowance[];
}

/** What is to be taken back, held against the database as it is now. */
export interface Chosen {
  readonly history: History;
  /** All that is applied, the last one first. */
  readonly applied: readonly HistoryRow[];
  readonly rows: readonly HistoryRow[];
}

/**
 * Chooses what is to be taken back. Reads only.
 * @throws AppError `MIGRATION_FAILED_BEFORE`, `MIGRATION_NOT_APPLIED`, `ROLLBACK_NOT_LAST`, `DEPLOYMENT_NOT_FOUND`
 */
export async function chooseRollback(
  { control, database }: Pick<RollbackRequest, 'control' | 'database'>,
  choice: RollbackChoice,
  /** What the deployment applied, where its report is still to come. */
  names?: readonly string[],
): Promise<Chosen> {
  const target = parseTarget(database.url);
  const history = await withSession(
    target,
    { applicationName: 'switchback:survey', doing: 'reading the migration history' },
    (session) => readHistory(session, target.schema),
  );
  const applied = appliedRows(history.rows);
  const deployed =
    names ?? ('deployment' in choice ? await deployedBy(control, database.name, choice.deployment) : []);
  return { history, applied, rows: chooseRows(applied, choice, deployed) };
}

/**
 * Plans a rollback: finds the way back of each migration, trying those of which nothing is known, and what stands
 * against it. It has faults that stop, unless they are allowed.
 * @throws AppError `ALLOWANCE_UNKNOWN`
 */
export async function planRollback(
  request: RollbackRequest,
  { history, applied, rows }: Chosen,
  cause: ErrorRecord | null = null,
): Promise<RollbackPlan> {
  const { control, database } = request;
  const allowances = [...database.policy.allow, ...request.allow];
  checkAllowances(allowances);
  await loadParser();
  const bundle = await findSources(control, database, rows);
  const begun = await beginnings(request, rows);
  const found = await findWaysBack({
    ...request,
    rows: rows.filter(({ id }) => !begun.has(id)),
    applied,
    bundle,
  });
  const ways = new Map([...found.map((way) => [way.migration, way] as const)]);
  const target = parseTarget(database.url);
  return withSession(
    target,
    { applicationName: 'switchback:survey', doing: 'looking what a rollback finds' },
    async (session) => {
      const migrations: PlannedReversal[] = [];
      const faults: Fault[] = [];
      for (const row of rows) {
        const way = begun.get(row.id) ?? ways.get(row.name);
        if (way === undefined) continue;
        const lost = begun.has(row.id)
          ? []
          : await lostData({
              control,
              session,
              database: database.name,
              history,
              row,
              source: sourceOf(bundle, row),
            });
        const planned = await planOne(session, row, way);
        migrations.push(planned.migration);
        faults.push(...planned.faults, ...losesData(row.name, lost));
      }
      return { migrations, faults: allow(faults, allowances), cause };
    },
  );
}

/** A rollback that is half done is gone on with by the text that was begun. */
async function beginnings(
  { control, database }: RollbackRequest,
  rows: readonly HistoryRow[],
): Promise<ReadonlyMap<string, WayBack>> {
  const begun = new Map<string, WayBack>();
  for (const row of rows) {
    const way = row.takingBack ? await begunWayBack(control, database.name, row) : null;
    if (way !== null) begun.set(row.id, way);
  }
  return begun;
}

async function planOne(
  session: Session,
  row: HistoryRow,
  way: WayBack,
): Promise<{ migration: PlannedReversal; faults: Fault[] }> {
  const { name, id: historyId, checksum } = row;
  const { sql, source, outcome, provenOn, reasons } = way;
  const entries = await savedEntries(session, session.target.schema, name, 'forth');
  const common = { name, historyId, checksum, sql, entries, source, outcome, provenOn, reasons };
  const { faults, body } = read(name, way);
  const { segments, relations, journalled } = body;
  return { migration: { ...common, segments, relations, journalled }, faults };
}

function read(name: string, way: WayBack): { faults: Fault[]; body: ReturnType<typeof planStatements> } {
  try {
    const { statements } = readReversal(way.sql);
    return { faults: faultsOf(name, way), body: planStatements(statements, removalsOf(statements)) };
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return {
      faults: [
        {
          code: 'MIGRATION_UNPARSABLE',
          severity: 'stop',
          migration: name,
          message: `The rollback of ${name} (${way.source}) does not parse: ${error.message}. Nothing was done. Mend it.`,
        },
      ],
      body: planStatements([], []),
    };
  }
}

function faultsOf(migration: string, { sql, source, outcome, reasons }: WayBack): Fault[] {
  if (outcome === 'proven') return [];
  const why = reasons.length === 0 ? '' : ` ${reasons.slice(0, 5).join(' ')}`;
  const none = sql === '' || (outcome === 'refused' && source === 'generated');
  return [
    none
      ? {
          code: 'ROLLBACK_MISSING',
          severity: 'stop',
          migration,
          message: `${migration} has no way back that may be used.${why} Nothing was done. Write a rollback.sql beside its migration.sql, or restore a backup.`,
        }
      : {
          code: 'ROLLBACK_NOT_PROVEN',
          severity: 'stop',
          migration,
          message: `The way back of ${migration} (${source}) is not proven: ${outcome}.${why} Nothing was done. Mend it; or, if it is right as it is, allow ROLLBACK_NOT_PROVEN for it with a reason.`,
        },
  ];
}

const losesData = (migration: string, lost: readonly string[]): Fault[] =>
  lost.length === 0
    ? []
    : [
        {
          code: 'ROLLBACK_LOSES_DATA',
          severity: 'stop',
          migration,
          message:
            `The vault does not have everything that ${migration} removed. Rolling back makes its place again, without: ${lost.slice(0, 10).join('; ')}${lost.length > 10 ? `; and ${lost.length - 10} more` : ''}. ` +
            'Nothing was done. A backup from before it has the data; to roll back without it, allow ROLLBACK_LOSES_DATA for it with a reason.',
        },
      ];

/** The stored plan of a job that an earlier attempt has begun; null where none has. */
export async function begunPlan(control: Control, jobId: string): Promise<RollbackPlan | null> {
  const found = await control.prisma.rollback.findUnique({ where: { jobId }, select: { plan: true } });
  return (found?.plan ?? null) as unknown as RollbackPlan | null;
}
