import type { Control } from '../../db/control/control.ts';
import { readArchive } from '../../migrations/archive.ts';
import { checkBeside, dataMigrationsOf } from '../../migrations/beside.ts';

/**
 * Reads an uploaded archive and keeps it under the id of its content.
 * @returns its id, and whether it is new
 * @throws AppError `MIGRATION_FILE_INVALID`, those of `readArchive`
 */
export async function storeBundle(
  control: Control,
  archive: Buffer,
  createdBy: string,
): Promise<{ id: string; created: boolean }> {
  const bundle = await readArchive(archive);
  checkBeside(bundle);
  const { id, migrations } = bundle;
  const dataMigrations = dataMigrationsOf(bundle).map(({ name, migration, spec: { kind, table } }) => ({
    ...{ name, migration, kind, table },
  }));
  const data = {
    id,
    archive: new Uint8Array(archive),
    migrations: migrations.length,
    dataMigrations,
    bytes: archive.length,
    createdBy,
  };
  const { count } = await control.prisma.bundle.createMany({ data: [data], skipDuplicates: true });
  return { id, created: count === 1 };
}
