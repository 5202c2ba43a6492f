import type { Policy } from '../config.ts';
import { checksumMatches } from './checksum.ts';
import type { Fault } from './fault.ts';
import type { History, HistoryRow } from './history.ts';
import { type Bundle, byName, type Migration } from './read.ts';

export type MigrationState =
  | 'pending'
  | 'applied'
  | 'failed'
  | 'interrupted'
  | 'rolled back'
  | 'rolling back'
  | 'diverged'
  | 'missing';

export interface ComparedMigration {
  readonly name: string;
  readonly state: MigrationState;
  readonly checksum: string | null;
  readonly appliedAt: Date | null;
  /** The history's row that decides the state. */
  readonly row: HistoryRow | null;
}

export interface Comparison {
  readonly migrations: readonly ComparedMigration[];
  readonly faults: readonly Fault[];
}

/**
 * Holds a bundle against a history. Prisma's rules decide what is pending, applied and failed; beyond them, edited,
 * missing and out-of-order migrations are found, which `prisma migrate deploy` passes over in silence.
 */
export function compare(bundle: Bundle, history: History, policy: Pick<Policy, 'outOfOrder'>): Comparison {
  const attempts = groupByName(history.rows);
  const known = new Set(bundle.migrations.map((migration) => migration.name));
  const migrations = [
    ...bundle.migrations.map((migration) => compareOne(migration, attempts.get(migration.name) ?? [])),
    ...[...attempts]
      .filter(([name]) => !known.has(name))
      .flatMap(([name, rows]) => compareMissing(name, rows)),
  ].sort((a, b) => byName(a.name, b.name));
  if (!history.exists && history.schemaInUse) return { migrations, faults: [needsBaseline] };
  const faults = [...migrations.flatMap(faultOf), ...outOfOrder(migrations, policy.outOfOrder)];
  return { migrations, faults };
}

function groupByName(rows: readonly HistoryRow[]): Map<string, HistoryRow[]> {
  const grouped = new Map<string, HistoryRow[]>();
  for (const row of rows) grouped.set(row.name, [...(grouped.get(row.name) ?? []), row]);
  return grouped;
}

const unresolved = (row: HistoryRow): boolean => row.finishedAt === null && row.rolledBackAt === null;
const applied = (row: HistoryRow): boolean => row.finishedAt !== null && row.rolledBackAt === null;

function compareOne(migration: Migration, rows: readonly HistoryRow[]): ComparedMigration {
  const base = { name: migration.name, checksum: migration.checksum };
  const failed = rows.findLast(unresolved);
  if (failed?.takingBack === true) return { ...base, state: 'rolling back', appliedAt: null, row: failed };
  if (failed !== undefined) {
    // A journal without a failure's log: the process that applied it is gone, and what it did can be told.
    const interrupted = failed.journalled && failed.logs === null && failed.checksum === migration.checksum;
    return { ...base, state: interrupted ? 'interrupted' : 'failed', appliedAt: null, row: failed };
  }
  const done = rows.findLast(applied);
  if (done !== undefined) {
    const state = checksumMatches(migration.sql, done.checksum) ? 'applied' : 'diverged';
    return { ...base, state, appliedAt: done.finishedAt, row: done };
  }
  const last = rows.at(-1) ?? null;
  // Applied once and taken back on purpose, unlike an attempt that failed and left nothing behind.
  const takenBack =
    last !== null && last.finishedAt !== null && checksumMatches(migration.sql, last.checksum);
  return { ...base, state: takenBack ? 'rolled back' : 'pending', appliedAt: null, row: last };
}

function compareMissing(name: string, rows: readonly HistoryRow[]): ComparedMigration[] {
  const failed = rows.findLast(unresolved);
  if (failed !== undefined)
    return [
      {
        name,
        state: failed.takingBack ? 'rolling back' : 'failed',
        checksum: failed.checksum,
        appliedAt: null,
        row: failed,
      },
    ];
  const done = rows.findLast(applied);
  return done === undefined
    ? []
    : [{ name, state: 'missing', checksum: done.checksum, appliedAt: done.finishedAt, row: done }];
}

const needsBaseline: Fault = {
  code: 'BASELINE_REQUIRED',
  severity: 'stop',
  migration: null,
  message:
    'The database has tables but no migration history (Prisma says P3005). Nothing was done. If these tables are what the ' +
    'first migrations create, record those as applied: POST /api/recoveries {"action": "baseline", "upTo": "<last migration that is already there>"}.',
};

function faultOf({ name, state, row }: ComparedMigration): Fault[] {
  switch (state) {
    case 'failed':
      return [
        {
          code: 'MIGRATION_FAILED_BEFORE',
          severity: 'stop',
          migration: name,
          message:
            `${name} failed on ${row?.startedAt.toISOString()} and is not resolved (Prisma says P3009). Nothing was done. ` +
            `Its log: ${essence(row?.logs)}. Look at what it left; then POST /api/recoveries with "resolveRolledBack" (its changes are gone) or "resolveApplied" (they are all there).`,
        },
      ];
    case 'diverged':
      return [
        {
          code: 'MIGRATION_DIVERGED',
          severity: 'stop',
          migration: name,
          message: `${name} was edited after it was applied: its checksum is not the one in the history. Nothing was done. Restore the file, or allow MIGRATION_DIVERGED for it with a reason.`,
        },
      ];
    case 'missing':
      return [
        {
          code: 'MIGRATION_MISSING',
          severity: 'stop',
          migration: name,
          message: `${name} is applied in the database but not in the bundle. Nothing was done. Restore it, or allow MIGRATION_MISSING for it (squashed, say) with a reason.`,
        },
      ];
    case 'rolled back':
      return [
        {
          code: 'MIGRATION_ROLLED_BACK',
          severity: 'stop',
          migration: name,
          message: `${name} was applied and then rolled back on ${row?.rolledBackAt?.toISOString()}, and has not changed since. Nothing was done. Change it, or allow MIGRATION_ROLLED_BACK for it with a reason.`,
        },
      ];
    case 'rolling back':
      return [
        {
          code: 'ROLLBACK_UNFINISHED',
          severity: 'stop',
          migration: name,
          message:
            `${name} is half taken back: its rollback was interrupted, or failed (${essence(row?.logs)}). Nothing was done. ` +
            'Roll back again, which goes on from there; or complete it by hand, then POST /api/recoveries with "resolveRolledBack" or "resolveApplied".',
        },
      ];
    case 'pending':
    case 'applied':
    case 'interrupted':
      return [];
  }
}

function outOfOrder(migrations: readonly ComparedMigration[], policy: 'warn' | 'stop'): Fault[] {
  const lastApplied = migrations.findLastIndex(
    (migration) => migration.state === 'applied' || migration.state === 'diverged',
  );
  return migrations
    .slice(0, Math.max(0, lastApplied))
    .filter((migration) => migration.state === 'pending')
    .map((migration) => ({
      code: 'MIGRATION_OUT_OF_ORDER',
      severity: policy,
      migration: migration.name,
      message: `${migration.name} is pending but sorts before ${migrations[lastApplied]?.name}, which is applied: two branches met. A new database gets them in the other order.`,
    }));
}

/** A log in one line, without the stack that Prisma appends, indented. */
const essence = (logs: string | null | undefined): string =>
  (logs ?? '')
    .split('\n')
    .filter((line) => /^\S/.test(line))
    .join(' ')
    .slice(0, 600) || 'none';
