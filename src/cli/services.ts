import type { Logger } from 'pino';
import { buildApp } from '../api/app.ts';
import { openStore } from '../backups/stores/index.ts';
import type { Config } from '../config.ts';
import { openControl } from '../db/control/control.ts';
import { AppError } from '../errors.ts';
import { checkAnalysisConfig } from '../jobs/analysis/analysis-config.ts';
import { openAnalyst } from '../jobs/analysis/analyst.ts';
import type { JobDependencies } from '../jobs/dependencies.ts';
import { prepareControl } from '../jobs/prepare-control.ts';
import { openQueue } from '../jobs/queue.ts';
import { startWorker } from '../jobs/worker.ts';
import type { Closing } from './closing.ts';

/**
 * Brings the control database up to date, and opens all that a process of Switchback works with.
 * @throws AppError `CONFIG_INVALID` without a control database, and those of what is opened
 */
export async function openDependencies(
  config: Config,
  log: Logger,
  closing: Closing,
  stopping: AbortSignal,
): Promise<JobDependencies> {
  const url = config.controlDatabase?.url;
  if (url === undefined)
    throw new AppError(
      'CONFIG_INVALID',
      'No control database is configured: set SWITCHBACK_DATABASE_URL, or use "switchback up" for the embedded one.',
      { faults: [{ path: 'controlDatabase.url', message: 'is missing' }] },
    );
  await checkAnalysisConfig(config);
  await prepareControl(url, stopping);
  const control = await openControl(url);
  closing.add(() => control.close());
  const { url: queueUrl = url, prefix = 'switchback' } = config.queue ?? {};
  const queue = await openQueue({ url: queueUrl, prefix });
  closing.add(() => queue.close());
  const store = await openStore(config.backups.store);
  const analyst = await openAnalyst({ log, rules: config.analysis.rules });
  closing.add(() => analyst.close());
  return { config, control, queue, store, analyst, log };
}

/** Takes jobs until it is closed: then jobs under way are finished, or handed back. */
export async function startJobs(deps: JobDependencies, closing: Closing): Promise<void> {
  const worker = await startWorker(deps);
  closing.add(() => worker.stop());
  deps.log.info({ worker: worker.name }, 'taking jobs');
}

/**
 * Serves the HTTP API until it is closed.
 * @returns its URL
 * @throws AppError `CONFIG_INVALID` when the address cannot be listened on
 */
export async function startApi(deps: JobDependencies, closing: Closing): Promise<string> {
  const { host, port } = deps.config.http;
  const app = await buildApp(deps);
  closing.add(() => app.close());
  if (deps.config.tokens.length === 0)
    deps.log.warn('no token is configured: nobody can do more than ask whether it is healthy');
  try {
    return await app.listen({ host, port });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES', 'ENOTFOUND'].includes(code)) throw error;
    throw cannotListen(host, port, code, error);
  }
}

function cannotListen(host: string, port: number, code: string, cause: unknown): AppError {
  const reason = code === 'EADDRINUSE' ? 'another program listens there' : code;
  return new AppError(
    'CONFIG_INVALID',
    `${host}:${port} cannot be listened on: ${reason}. Nothing was started. Set http.port (SWITCHBACK_PORT) to another port.`,
    { faults: [{ path: 'http.port', message: reason }] },
    { cause },
  );
}

/** All of Switchback in one process. The API closes first, and takes no requests while the worker finishes. */
export async function startAll(
  config: Config,
  log: Logger,
  closing: Closing,
  stopping: AbortSignal,
): Promise<string> {
  const deps = await openDependencies(config, log, closing, stopping);
  await startJobs(deps, closing);
  return startApi(deps, closing);
}
