import { buildApp } from '../api/app.ts';
import { loadConfig } from '../config.ts';
import { openLog } from './log.ts';
import { openDependencies } from './open.ts';
import { untilStopped } from './until-stopped.ts';

/** `switchback serve`: the HTTP API, until SIGINT or SIGTERM. */
export async function serve(file: string | undefined): Promise<void> {
  const stopped = untilStopped();
  const config = loadConfig(undefined, { file });
  const log = openLog(config.logLevel);
  const opened = await openDependencies(config, log);
  const app = await buildApp(opened.deps);
  await app.listen({ host: config.http.host, port: config.http.port });
  log.info({ signal: await stopped }, 'stopping');
  await app.close();
  await opened.close();
}
