import { z } from 'zod';
import { defineJob } from '../define-job.ts';
import { busyDatabases, type Expiry, expireVault } from '../vault/vault.ts';

/** Removes what has outlived its retention, in the vaults of all databases. Workers ask for it now and then. */
export const vaultExpiry = defineJob({
  name: 'vault-expiry',
  queue: 'signals',
  payload: z.strictObject({}),
  steps: ['remove'],
  exclusive: false,
  attempts: 1,
  backoffMs: () => 0,
  // Each entry goes in a transaction of its own: run again, it goes on with the rest.
  whenInterrupted: 'resume',
  async run({ deps, signal, step }): Promise<{ expired: readonly Expiry[] }> {
    const { databases } = deps.config;
    const expired = await step('remove', async (progress) => {
      const found: Expiry[] = [];
      for (const [done, database] of databases.entries()) {
        signal.throwIfAborted();
        progress({ done, total: databases.length, unit: 'databases' });
        // A rollback may be about to put back what expires just now; the next pass removes it.
        const busy = await busyDatabases(deps.control, [database.name]);
        if (!busy.has(database.name)) found.push(await expireVault(database));
      }
      return found;
    });
    return { expired: expired.filter(({ removed, error }) => removed.length > 0 || error !== null) };
  },
});
