import type { Config } from '../../config.ts';
import type { BackupStore } from './define-store.ts';
import { fileStore } from './file.ts';

const stores = [fileStore] as const;

/**
 * Opens the configured store.
 * @throws AppError `STORE_UNREACHABLE`
 */
export async function openStore(options: Config['backups']['store']): Promise<BackupStore> {
  const [store] = stores.filter((candidate) => candidate.type === options.type);
  if (store === undefined) throw new Error(`no store of type ${options.type}`);
  return store.open(options);
}
