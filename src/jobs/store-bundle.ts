import type { Control } from '../db/control/control.ts';
import { readArchive } from '../migrations/archive.ts';

/**
 * Reads an uploaded archive and keeps it under the id of its content.
 * @returns its id, and whether it is new
 * @throws AppError those of `readArchive`
 */
export async function storeBundle(
  control: Control,
  archive: Buffer,
  createdBy: string,
): Promise<{ id: string; created: boolean }> {
  const { id, migrations } = await readArchive(archive);
  const data = {
    id,
    archive: new Uint8Array(archive),
    migrations: migrations.length,
    bytes: archive.length,
    createdBy,
  };
  const { count } = await control.prisma.bundle.createMany({ data: [data], skipDuplicates: true });
  return { id, created: count === 1 };
}
