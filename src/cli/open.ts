import type { Logger } from 'pino';
import { openStore } from '../backups/stores/index.ts';
import type { Config } from '../config.ts';
import { openControl } from '../db/control/control.ts';
import { AppError } from '../errors.ts';
import type { JobDependencies } from '../jobs/dependencies.ts';
import { prepareControl } from '../jobs/prepare-control.ts';
import { openQueue } from '../jobs/queue.ts';

export interface Opened {
  readonly deps: JobDependencies;
  close(): Promise<void>;
}

/**
 * Brings the control database up to date and opens all that a process of Switchback works with.
 * @throws AppError `CONFIG_INVALID` without a control database, and those of what is opened
 */
export async function openDependencies(config: Config, log: Logger): Promise<Opened> {
  const url = config.controlDatabase?.url;
  if (url === undefined)
    throw new AppError(
      'CONFIG_INVALID',
      'No control database is configured: set SWITCHBACK_DATABASE_URL, or use `switchback up` for the embedded one.',
    );
  await prepareControl(url, AbortSignal.timeout(120_000));
  const control = await openControl(url);
  try {
    const queue = await openQueue({
      url: config.queue?.url ?? url,
      prefix: config.queue?.prefix ?? 'switchback',
    });
    const store = await openStore(config.backups.store);
    return {
      deps: { config, control, queue, store, log },
      async close() {
        await queue.close();
        await control.close();
      },
    };
  } catch (error) {
    await control.close();
    throw error;
  }
}
