/**
 * Deployments and data migrations keep off each other's tables: whichever comes later is refused. Each writes into its
 * record which tables it uses, and looks at the others' records, in one transaction under a lock of the database.
 */
import type { DatabaseConfig } from '../../config.ts';
import { kindOf } from '../../data-migrations/spec.ts';
import type { Control, ControlTransaction } from '../../db/control/control.ts';
import { toJson } from '../../db/control/job-rows.ts';
import { withSession } from '../../db/session.ts';
import { parseTarget, type Target } from '../../db/target.ts';
import { AppError } from '../../errors.ts';
import { allow, type Fault, stops } from '../../migrations/fault.ts';
import type { Plan } from '../../migrations/plan.ts';
import { oidsOf, type TouchedTables, touchedBy } from '../../migrations/touched.ts';
import type { RunningDataMigration } from '../data-migrations/run.ts';
import type { JobContext } from '../define-job.ts';
import type { DeploymentDraft } from './deployment-draft.ts';

/** A table of a registered database. */
interface UsedTable {
  readonly database: string;
  readonly oid: number;
  readonly name: string;
}

/** A data migration that works on a table which a deployment touches. */
export interface BusyDataMigration {
  readonly id: string;
  readonly name: string;
  readonly table: string;
}

const naming = { applicationName: 'switchback:tables', doing: 'looking up tables' };
const unfinished = ['queued', 'running'];

/**
 * Claims the tables of a plan for a deployment.
 * @returns the data migrations on them that are to be paused
 * @throws AppError `TABLE_BUSY`
 */
export async function claimForDeployment(
  { deps: { control }, job }: Pick<JobContext<unknown>, 'deps' | 'job'>,
  database: DatabaseConfig,
  plan: Plan,
  draft: DeploymentDraft,
): Promise<readonly BusyDataMigration[]> {
  if (plan.migrations.length === 0) return [];
  const touched = await withSession(parseTarget(database.url), naming, (session) => touchedBy(session, plan));
  return underLock(control, [database.name], async (transaction) => {
    const busy = await busyOn(transaction, database.name, touched);
    const fault = busy.length === 0 ? null : allow([busyFault(busy, touched)], draft.allowances)[0];
    const pauses = database.policy.dataMigrations.onDeployment === 'pause';
    if (fault !== null && fault !== undefined && stops(fault) && !pauses)
      throw new AppError(fault.code, fault.message, { dataMigrations: busy, unknown: touched.unknown });
    await transaction.deployment.update({ where: { jobId: job.id }, data: { touches: toJson(touched) } });
    return pauses ? busy : [];
  });
}

/** Those that run, or wait to be gone on with at once; one that stands still does no harm. */
async function busyOn(
  transaction: ControlTransaction,
  database: string,
  { tables, unknown }: TouchedTables,
): Promise<BusyDataMigration[]> {
  const open = await transaction.dataMigration.findMany({
    where: {
      ended: null,
      job: { state: { in: unfinished } },
      OR: [{ database }, { writtenDatabase: database }],
    },
  });
  return open.flatMap(({ id, name, tables: used }) => {
    const here = usedBy(used).filter((one) => one.database === database);
    const met = here.find(({ oid }) => unknown.length > 0 || tables.includes(oid));
    return met === undefined ? [] : [{ id, name, table: met.name }];
  });
}

/** Null until it has begun. */
const usedBy = (tables: unknown): readonly UsedTable[] => (tables ?? []) as readonly UsedTable[];

function busyFault(busy: readonly BusyDataMigration[], { unknown }: TouchedTables): Fault {
  const named = busy.map(({ id, name, table }) => `"${name}" (${id}) on ${table}`).join(', ');
  const why =
    unknown.length === 0
      ? 'on tables that the deployment touches'
      : `and of ${unknown.slice(0, 3).join('; ')} it cannot be told which tables it touches`;
  return {
    code: 'TABLE_BUSY',
    severity: 'stop',
    migration: null,
    message:
      `Data migrations run ${why}: ${named}. Nothing was applied. Wait for them, or pause them with POST /api/data-migrations/<id>/pause and deploy again; ` +
      'the policy dataMigrations.onDeployment: "pause" does so by itself. If it does no harm, allow TABLE_BUSY with a reason.',
  };
}

/**
 * Claims the tables of a data migration whose job begins.
 * @throws AppError `TABLE_BUSY` where a deployment that runs touches one of them
 */
export async function claimForDataMigration({
  context: { deps },
  record,
  spec,
  source,
  written,
}: RunningDataMigration): Promise<void> {
  const { to } = spec as { to?: { schema?: string; table: string } };
  const into = to ?? { table: spec.table, ...(spec.schema === undefined ? {} : { schema: spec.schema }) };
  const used = [
    ...(await find(source.database.name, source.target, spec)),
    ...(await find(written.database.name, written.target, into)),
  ];
  const names = [...new Set([source.database.name, written.database.name])].sort();
  await underLock(deps.control, names, async (transaction) => {
    const running = await transaction.deployment.findMany({
      where: { database: { in: names }, job: { state: { in: unfinished } } },
      select: { id: true, database: true, touches: true },
    });
    for (const { id, database, touches } of running) {
      if (touches === null) continue;
      const { tables, unknown } = touches as unknown as TouchedTables;
      const met = used.find(
        (one) => one.database === database && (unknown.length > 0 || tables.includes(one.oid)),
      );
      if (met !== undefined) throw deploying(id, met, kindOf(spec).name);
    }
    await transaction.dataMigration.update({ where: { id: record.id }, data: { tables: toJson(used) } });
  });
}

async function find(
  database: string,
  target: Target,
  { schema = target.schema, table }: { readonly schema?: string | undefined; readonly table: string },
): Promise<UsedTable[]> {
  const oids = await withSession(target, naming, (session) => oidsOf(session, [{ schema, name: table }]));
  return oids.map((oid) => ({ database, oid, name: `${schema}.${table}` }));
}

const deploying = (deployment: string, { database, name }: UsedTable, kind: string): AppError =>
  new AppError(
    'TABLE_BUSY',
    `A deployment (${deployment}) of ${database} is under way that touches ${name}, or of which that cannot be told. No row was changed by this ${kind} since. Resume it once the deployment has ended.`,
    { deployment, database, table: name },
  );

const underLock = <T>(
  { prisma }: Control,
  databases: readonly string[],
  work: (transaction: ControlTransaction) => Promise<T>,
): Promise<T> =>
  prisma.$transaction(async (transaction) => {
    for (const database of databases)
      await transaction.$executeRaw`select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('switchback tables of ' || ${database}, 0))`;
    return work(transaction);
  });
