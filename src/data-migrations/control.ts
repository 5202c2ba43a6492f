/** What others may do to a data migration while a worker runs it, or while none does: by its rows in the written database. */
import { withSession } from '../db/session.ts';
import type { Target } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { claim, endOrphans, lockMigration } from './claim.ts';
import type { ThrottleLimits } from './define-signal.ts';
import type { DataMigrationProgress } from './events.ts';
import { progressOf } from './execute.ts';
import { unguard } from './guards.ts';
import type { Pace } from './pace.ts';
import { patiently } from './patience.ts';
import { inTransaction, openPlace } from './place.ts';
import { type DataMigrationRow, readMigration, setState } from './progress.ts';
import { abandonShadow } from './shadow/prepare.ts';

export interface DataMigrationStatus {
  readonly row: DataMigrationRow;
  readonly progress: DataMigrationProgress;
}

/** What may be changed; what is not given stays. A worker takes it up within a second. */
export interface ControlChange {
  /** True: the worker ends after its batches, and `runDataMigration` says `paused`. Run it again after false. */
  readonly paused?: boolean;
  readonly parallelism?: number;
  readonly pace?: Partial<Pace>;
  /** Takes the place of those given before. */
  readonly limits?: Partial<ThrottleLimits>;
}

const naming = { applicationName: 'switchback:control', doing: 'looking after a data migration' };

/** @throws AppError `DATA_MIGRATION_NOT_FOUND` where it has not begun */
export const readStatus = (written: Target, id: string): Promise<DataMigrationStatus> =>
  withSession(written, naming, async (session) => {
    const row = await readMigration(session, id);
    if (row === null) throw notFound(written, id);
    return { row, progress: await progressOf(session, row) };
  });

/**
 * Changes how a data migration goes on.
 * @throws AppError `DATA_MIGRATION_NOT_FOUND`, `DATA_MIGRATION_ENDED`
 */
export const changeControl = (written: Target, id: string, change: ControlChange): Promise<void> =>
  withSession(written, naming, async (session) => {
    const row = await readMigration(session, id);
    if (row === null) throw notFound(written, id);
    const { rowCount } = await session.query(
      `update switchback.data_migration set control = control + 1, paused = coalesce($2, paused), parallelism = coalesce($3, parallelism),
          pace = pace || coalesce($4::jsonb, '{}'), limits = coalesce($5::jsonb, limits) where id = $1 and ended_at is null`,
      [
        id,
        change.paused ?? null,
        change.parallelism ?? null,
        change.pace === undefined ? null : JSON.stringify(change.pace),
        change.limits === undefined ? null : JSON.stringify(change.limits),
      ],
    );
    if (rowCount === 0) throw ended(row);
  });

/**
 * Ends a data migration for good, whether or not a worker runs it: the batches before stand, no other is committed from
 * here on, and the triggers go. Does nothing where it was cancelled already.
 * @param places the database that is read, and the one that is written
 * @throws AppError `DATA_MIGRATION_ENDED` where it has finished; `LOCK_TIMEOUT`
 */
export async function cancelDataMigration(
  places: { readonly source: Target; readonly written: Target | null },
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const patience = { signal, report: () => undefined };
  const writing = places.written ?? places.source;
  const written = await openPlace(writing, id, 2_000);
  try {
    const row = await readMigration(written, id);
    if (row?.control.state === 'finished') throw ended(row);
    await endOrphans(written, id);
    await lockMigration(written, id, signal);
    if (row !== null) await claim(written, id, null);
    const source = places.written === null ? written : await openPlace(places.source, id, 2_000);
    try {
      if (source !== written) await endOrphans(source, id);
      await patiently(source, patience, () => unguard(source, id));
      await patiently(source, patience, () => inTransaction(source, () => abandonShadow(source, id)));
    } finally {
      if (source !== written) await source.close();
    }
    if (row !== null) await setState(written, id, 'cancelled');
  } finally {
    await written.close();
  }
}

const notFound = (written: Target, id: string): AppError =>
  new AppError(
    'DATA_MIGRATION_NOT_FOUND',
    `${written.display} knows no data migration ${id}, or it has not begun yet.`,
    {
      dataMigration: id,
    },
  );

const ended = ({ id, name, control }: DataMigrationRow): AppError =>
  new AppError(
    'DATA_MIGRATION_ENDED',
    `The data migration "${name}" (${id}) is ${control.state}: nothing of it can be changed any more. Begin a new one to go through the rows again.`,
    { dataMigration: id, state: control.state },
  );
