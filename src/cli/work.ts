import { loadConfig } from '../config.ts';
import { startWorker } from '../jobs/worker.ts';
import { openLog } from './log.ts';
import { openDependencies } from './open.ts';
import { untilStopped } from './until-stopped.ts';

/** `switchback work`: a worker, until SIGINT or SIGTERM; then its jobs are finished or handed back. */
export async function work(file: string | undefined): Promise<void> {
  const stopped = untilStopped();
  const config = loadConfig(undefined, { file });
  const log = openLog(config.logLevel);
  const opened = await openDependencies(config, log);
  const worker = await startWorker(opened.deps);
  log.info({ worker: worker.name }, 'working');
  log.info({ signal: await stopped }, 'stopping');
  await worker.stop();
  await opened.close();
}
