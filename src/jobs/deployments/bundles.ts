import type { DatabaseConfig } from '../../config.ts';
import type { Control } from '../../db/control/control.ts';
import { AppError } from '../../errors.ts';
import { readArchive } from '../../migrations/archive.ts';
import { checkBeside } from '../../migrations/beside.ts';
import { type Bundle, readDirectory } from '../../migrations/read.ts';

/**
 * The migrations to deploy: an uploaded bundle by its id, else the database's configured directory.
 * @throws AppError `BUNDLE_NOT_FOUND`, `BUNDLE_UPLOAD_FORBIDDEN`, `MIGRATION_FILE_INVALID`, and those of `readDirectory`
 */
export async function loadBundle(
  control: Control,
  database: DatabaseConfig,
  bundleId: string | undefined,
): Promise<Bundle> {
  if (bundleId === undefined) {
    const bundle = await readDirectory(database.migrations);
    checkBeside(bundle);
    return bundle;
  }
  if (database.policy.bundles !== 'upload')
    throw new AppError(
      'BUNDLE_UPLOAD_FORBIDDEN',
      `The policy of ${database.name} takes migrations from its configured directory only. Set its policy \`bundles\` to "upload" to deploy uploaded bundles.`,
      { database: database.name },
    );
  return readStored(control, bundleId);
}

/**
 * An uploaded bundle, for whatever it is to be looked at.
 * @throws AppError `BUNDLE_NOT_FOUND`
 */
export async function readStored(control: Control, bundleId: string): Promise<Bundle> {
  const stored = await control.prisma.bundle.findUnique({ where: { id: bundleId } });
  if (stored === null)
    throw new AppError(
      'BUNDLE_NOT_FOUND',
      `There is no bundle ${bundleId}. Upload it with POST /api/bundles.`,
      { bundle: bundleId },
    );
  return readArchive(Buffer.from(stored.archive));
}
