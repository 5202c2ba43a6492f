import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { buildApp } from '../api/app.ts';
import { type Config, configSchema, loadConfig } from '../config.ts';
import { type Embedded, startEmbedded } from '../embedded/embedded.ts';
import { startWorker } from '../jobs/worker.ts';
import { firstToken } from './first-token.ts';
import { openLog } from './log.ts';
import { openDependencies } from './open.ts';
import { untilStopped } from './until-stopped.ts';

export interface Up {
  readonly url: string;
  stop(): Promise<void>;
}

/** `switchback up`: API and worker in one process, on the embedded PostgreSQL where no control database is configured. */
export async function up(file: string | undefined): Promise<void> {
  const stopped = untilStopped();
  const config = loadConfig(undefined, { file });
  const embedded = config.controlDatabase === undefined ? await startEmbedded(config.dataDirectory) : null;
  try {
    const first = config.tokens.length === 0 ? await firstToken(config.dataDirectory) : null;
    const complete = await completeConfig(config, embedded, first === null ? config.tokens : [first.config]);
    const running = await startUp(complete, openLog(config.logLevel));
    print(running.url, complete, embedded, first);
    await stopped;
    process.stdout.write('\nStopping: jobs under way are finished or handed back.\n');
    await running.stop();
  } finally {
    await embedded?.stop();
  }
}

/** Starts API and worker. */
export async function startUp(config: Config, log: Logger): Promise<Up> {
  const opened = await openDependencies(config, log);
  const app = await buildApp(opened.deps);
  const url = await app.listen({ host: config.http.host, port: config.http.port });
  const worker = await startWorker(opened.deps);
  return {
    url,
    async stop() {
      await app.close();
      await worker.stop();
      await opened.close();
    },
  };
}

async function completeConfig(
  config: Config,
  embedded: Embedded | null,
  tokens: Config['tokens'],
): Promise<Config> {
  if (embedded === null) return { ...config, tokens };
  const controlDatabase = { url: await embedded.database('switchback') };
  const databases = config.databases.length > 0 ? config.databases : await exampleDatabase(embedded);
  return { ...config, tokens, controlDatabase, databases };
}

/** The customer's case, so that a first run has something to deploy. */
async function exampleDatabase(embedded: Embedded): Promise<Config['databases']> {
  const migrations = fileURLToPath(new URL('../../examples/globalrx/prisma/migrations', import.meta.url));
  if (!existsSync(migrations)) return [];
  const url = await embedded.database('globalrx');
  return configSchema.parse({ databases: [{ name: 'globalrx', url, migrations, environment: 'example' }] })
    .databases;
}

function print(
  url: string,
  config: Config,
  embedded: Embedded | null,
  first: { token: string; file: string } | null,
): void {
  const [database] = config.databases;
  const lines = [
    `Switchback is up: ${url}`,
    ...(embedded === null ? [] : [`Embedded PostgreSQL: data in ${embedded.folder}`]),
    ...(first === null ? [] : [`Token: ${first.token} (kept in ${first.file})`]),
    ...(first === null || database === undefined
      ? []
      : [
          'Try:',
          `  curl -H "authorization: Bearer ${first.token}" -H "content-type: application/json" -d '{"database":"${database.name}"}' ${url}/api/deployments`,
        ]),
    'Ctrl-C stops it.',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
