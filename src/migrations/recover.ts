import { v4 as newId } from 'uuid';
import type { Session } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import {
  appliedSql,
  createHistorySql,
  type HistoryRow,
  historyTable,
  readHistory,
  rollBackSql,
} from './history.ts';
import { forgetSql } from './journal.ts';
import type { Bundle } from './read.ts';
import { withLocks } from './with-locks.ts';

export interface RecoveryRequest {
  readonly target: Target;
  readonly bundle: Bundle;
  readonly jobId: string;
  readonly signal: AbortSignal;
}

/** What the history says now: the migrations whose state the recovery changed. */
export interface RecoveryOutcome {
  readonly changed: readonly string[];
}

const lockBudgetMs = 30_000;

const underLocks = (
  request: RecoveryRequest,
  work: (session: Session) => Promise<readonly string[]>,
): Promise<RecoveryOutcome> =>
  withLocks({ ...request, lockBudgetMs, report: () => undefined }, async (session) => ({
    changed: await work(session),
  }));

/**
 * Records the first migrations as applied, on a database that already has what they create (Prisma: `migrate resolve
 * --applied` for each). Without `upTo`: all of the bundle.
 * @throws AppError `BASELINE_NOT_NEEDED`, `MIGRATION_NOT_FOUND`
 */
export const baseline = (
  request: RecoveryRequest & { readonly upTo?: string | undefined },
): Promise<RecoveryOutcome> =>
  underLocks(request, async (session) => {
    const { schema } = request.target;
    const { migrations } = request.bundle;
    const last =
      request.upTo === undefined
        ? migrations.length - 1
        : migrations.findIndex(({ name }) => name === request.upTo);
    if (last === -1) throw notFound(request.upTo ?? '');
    const history = await readHistory(session, schema);
    const applied = history.rows
      .filter((row) => row.finishedAt !== null && row.rolledBackAt === null)
      .map((row) => row.name);
    const wanted = migrations.slice(0, last + 1);
    if (
      applied.length > 0 &&
      !sameNames(
        applied,
        wanted.map(({ name }) => name),
      )
    )
      throw new AppError(
        'BASELINE_NOT_NEEDED',
        `The database already has a migration history of ${applied.length} migration(s). Nothing was done. Use "resolveApplied" for a single migration.`,
        { applied: applied.length },
      );
    if (applied.length > 0) return [];
    const inserts = wanted.map((migration) =>
      appliedSql(schema, { id: newId(), name: migration.name, checksum: migration.checksum }),
    );
    await session.query(
      ['begin', ...(history.exists ? [] : [createHistorySql(schema, history)]), ...inserts, 'commit'].join(
        ';\n',
      ),
    );
    return wanted.map(({ name }) => name);
  });

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name) => b.includes(name));

/**
 * Records a failed or pending migration as applied: what it was to do was completed by hand.
 * @throws AppError `MIGRATION_NOT_FOUND`, `MIGRATION_NOT_APPLIED`
 */
export const resolveApplied = (
  request: RecoveryRequest & { readonly migration: string },
): Promise<RecoveryOutcome> =>
  underLocks(request, async (session) => {
    const { schema } = request.target;
    const migration = request.bundle.migrations.find(({ name }) => name === request.migration);
    if (migration === undefined) throw notFound(request.migration);
    const history = await readHistory(session, schema);
    const rows = history.rows.filter((row) => row.name === request.migration);
    if (rows.some((row) => row.finishedAt !== null && row.rolledBackAt === null))
      throw new AppError(
        'MIGRATION_NOT_APPLIED',
        `${request.migration} is applied already. Nothing was done.`,
        { migration: request.migration },
      );
    const failed = rows.findLast(isFailed);
    // As Prisma does it: the failed attempt is marked as rolled back, and a finished one added.
    const insert = appliedSql(schema, { id: newId(), name: migration.name, checksum: migration.checksum });
    const create = history.exists ? [] : [createHistorySql(schema, history)];
    const old =
      failed === undefined
        ? []
        : settleSql(failed, rollBackSql(schema, failed.id, failed.logs ?? 'resolved as applied'));
    await session.query(['begin', ...create, ...old, insert, 'commit'].join(';\n'));
    return [request.migration];
  });

/**
 * Records a failed migration as rolled back: nothing of it is left, and the next deployment applies it again.
 * @throws AppError `MIGRATION_NOT_APPLIED`
 */
export const resolveRolledBack = (
  request: RecoveryRequest & { readonly migration: string },
): Promise<RecoveryOutcome> =>
  underLocks(request, async (session) => {
    const { schema } = request.target;
    const history = await readHistory(session, schema);
    const failed = history.rows.findLast((row) => row.name === request.migration && isFailed(row));
    if (failed === undefined)
      throw new AppError(
        'MIGRATION_NOT_APPLIED',
        `${request.migration} has no failed attempt in ${historyTable(schema)}. Nothing was done: only failed migrations can be resolved as rolled back.`,
        { migration: request.migration },
      );
    const settle = settleSql(
      failed,
      rollBackSql(schema, failed.id, failed.logs ?? 'resolved as rolled back'),
    );
    await session.query(['begin', ...settle, 'commit'].join(';\n'));
    return [request.migration];
  });

const isFailed = (row: HistoryRow): boolean => row.finishedAt === null && row.rolledBackAt === null;

/** The journal's entries of an attempt that is settled would only mislead. */
const settleSql = (row: HistoryRow, sql: string): string[] => [
  ...(row.journalled ? [forgetSql(row.id)] : []),
  sql,
];

const notFound = (migration: string): AppError =>
  new AppError(
    'MIGRATION_NOT_FOUND',
    `There is no migration "${migration}" in the bundle. Nothing was done.`,
    { migration },
  );
