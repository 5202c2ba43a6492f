import type { DataMigrationProgress } from '../../data-migrations/events.ts';
import type { Control } from '../../db/control/control.ts';
import type { DataMigration } from '../../db/control/generated/client.ts';
import { toJson } from '../../db/control/job-rows.ts';
import { type OwnedChange, turnOff, turnOn } from '../flags/flags.ts';

/** Writes that a data migration has ended, and turns its flag with it. Done again, it changes nothing. */
export const endDataMigration = (
  { prisma }: Control,
  { id, name, database, flag }: Pick<DataMigration, 'id' | 'name' | 'database' | 'flag'>,
  how: 'finished' | 'cancelled',
  by: string,
  progress: DataMigrationProgress | null,
): Promise<DataMigration> =>
  prisma.$transaction(async (transaction) => {
    if (flag !== null) {
      const reason = how === 'finished' ? 'the validation has passed' : 'the data migration was cancelled';
      const change = flagOf({ name, database, flag }, reason, by);
      await (how === 'finished' ? turnOn(transaction, change) : turnOff(transaction, change));
    }
    // By the database's clock: those of the processes may differ.
    await transaction.$executeRaw`
      update data_migration set ended = ${how}, ended_at = coalesce(ended_at, now()) where id = ${id}::uuid`;
    return transaction.dataMigration.update({
      where: { id },
      data: progress === null ? {} : { progress: toJson(progress) },
    });
  });

/** Another data migration of the same name has the same flag. */
export const flagOf = (
  { name, database, flag }: { readonly name: string; readonly database: string; readonly flag: string },
  reason: string,
  by: string,
): OwnedChange => ({ database, key: flag, owner: { kind: 'data migration', name }, reason, by });
