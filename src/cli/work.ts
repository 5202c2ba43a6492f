import { loadConfig } from '../config.ts';
import { openLog } from './log.ts';
import { runUntilStopped } from './run-until-stopped.ts';
import { openDependencies, startJobs } from './services.ts';

/** `switchback work`: a worker. Any number of them may run. */
export async function work(file: string | undefined): Promise<void> {
  const config = loadConfig(undefined, { file });
  const log = openLog(config.logLevel);
  await runUntilStopped(async (closing, stopping) => {
    await startJobs(await openDependencies(config, log, closing, stopping), closing);
    return {};
  });
  log.info('stopped');
}
