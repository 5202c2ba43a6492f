/** Brings what is wanted of a data migration from its record to where its batches look. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type ControlChange, changeControl } from '../../data-migrations/control.ts';
import type { Control } from '../../db/control/control.ts';
import type { DataMigration } from '../../db/control/generated/client.ts';
import type { Target } from '../../db/target.ts';
import { AppError } from '../../errors.ts';
import type { WantedControl } from './records.ts';

export interface ControlFollower {
  /** Aborts when it is to be paused or cancelled: its batches end by themselves then. */
  readonly stopped: AbortSignal;
  /** Aborts with the same reason where it has not begun, and may still be waiting for its table. */
  readonly unbegun: AbortSignal;
  stop(): Promise<void>;
}

interface FollowDependencies {
  readonly control: Control;
  readonly written: Target;
  readonly log: Logger;
}

const lookEveryMs = 500;

/**
 * Begins with what the record says, so that the pause or the pace of an earlier run holds no longer.
 * @throws AppError those of sessions
 */
export async function followControl(
  { control, written, log }: FollowDependencies,
  record: DataMigration,
): Promise<ControlFollower> {
  const ending = new AbortController();
  const stopping = new AbortController();
  const giving = new AbortController();
  let done = record.changes;
  await change(written, record.id, { ...wantedOf(record), paused: false });

  const look = async (): Promise<void> => {
    const now = await control.prisma.dataMigration.findUnique({ where: { id: record.id } });
    if (now === null) return;
    if ((now.paused || now.cancelRequestedAt !== null) && !stopping.signal.aborted) {
      const begun = await change(written, record.id, { paused: true });
      stopping.abort(stopped(record.id));
      if (!begun) giving.abort(stopping.signal.reason);
    }
    if (now.changes === done) return;
    if (await change(written, record.id, wantedOf(now))) done = now.changes;
  };
  const follow = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      // What cannot be read or written now is tried again.
      await look().catch((error: unknown) =>
        log.warn({ err: error }, 'what is wanted of a data migration did not get through'),
      );
      await Promise.allSettled([pause(lookEveryMs, undefined, { signal: ending.signal })]);
    }
  };
  const following = follow();
  return {
    stopped: stopping.signal,
    unbegun: giving.signal,
    async stop() {
      ending.abort();
      await following;
    },
  };
}

const wantedOf = ({ control }: DataMigration): ControlChange => control as unknown as WantedControl;

/** False where it has not begun yet, and the change has to wait for that. */
async function change(written: Target, id: string, wanted: ControlChange): Promise<boolean> {
  try {
    await changeControl(written, id, wanted);
    return true;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === 'DATA_MIGRATION_ENDED') return true;
    if (error.code === 'DATA_MIGRATION_NOT_FOUND') return false;
    throw error;
  }
}

const stopped = (id: string): AppError =>
  new AppError('JOB_INTERRUPTED', `The data migration ${id} is to stand still.`, { dataMigration: id });
