import { undoIn } from '../../data-migrations/shadow/undo.ts';
import type { DataMigration } from '../../db/control/generated/client.ts';
import { AppError } from '../../errors.ts';
import { databaseOf } from '../databases.ts';
import type { JobContext } from '../define-job.ts';
import type { DataMigrationUndoPayload } from '../kinds/data-migration-undo.ts';
import { endDataMigration } from './end.ts';
import { requireDataMigration, specOf } from './records.ts';
import { targetsOf } from './targets.ts';

export interface UndoResult {
  readonly dataMigration: string;
  readonly state: 'undone';
}

/**
 * The table has its place back; the data migration is cancelled, so that nobody who requires it goes on, and its flag is off.
 * @throws AppError those of `undoIn`
 */
export async function undoDataMigration(
  context: JobContext<DataMigrationUndoPayload, 'undo'>,
): Promise<UndoResult> {
  const { deps, job, payload, signal, step } = context;
  const record = await requireDataMigration(deps.control, payload.dataMigration);
  requireUndoable(record);
  const { id } = record;
  const spec = specOf(record);
  const { source } = targetsOf(deps.config, databaseOf(deps.config, job.database), spec);
  const { retentionDays } = spec as typeof spec & { readonly retentionDays: number };
  await step('undo', () =>
    undoIn(source.target, {
      ...{ id, retentionDays, lockTimeoutMs: spec.pace.lockTimeoutMs, signal },
      report(event) {
        if (event.type === 'swapped') context.note(`${event.table} is what it was, in ${event.tookMs} ms`);
        if (event.type === 'retrying') context.note(`The swap is tried again: ${event.reason}`);
      },
    }),
  );
  await endDataMigration(deps.control, record, 'cancelled', job.requestedBy, null);
  return { dataMigration: id, state: 'undone' };
}

/** @throws AppError `SWAP_NOT_UNDOABLE` */
export function requireUndoable({ id, name, kind, ended }: DataMigration): void {
  if (kind === 'shadow' && ended !== null) return;
  const why = kind === 'shadow' ? 'it has not ended' : `it is a ${kind}, which swaps no tables`;
  throw new AppError(
    'SWAP_NOT_UNDOABLE',
    `There is nothing of the data migration "${name}" (${id}) to undo: ${why}. Nothing was done.`,
    { dataMigration: id, reason: why },
  );
}
