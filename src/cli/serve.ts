import { loadConfig } from '../config.ts';
import { openLog } from './log.ts';
import { runUntilStopped } from './run-until-stopped.ts';
import { openDependencies, startApi } from './services.ts';

/** `switchback serve`: the HTTP API. */
export async function serve(file: string | undefined): Promise<void> {
  const config = loadConfig(undefined, { file });
  const log = openLog(config.logLevel);
  await runUntilStopped(async (closing, stopping) => {
    const deps = await openDependencies(config, log, closing, stopping);
    log.info({ address: await startApi(deps, closing) }, 'serving');
    return {};
  });
  log.info('stopped');
}
