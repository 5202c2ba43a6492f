import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, configSchema, loadConfig } from '../config.ts';
import { type Embedded, startEmbedded } from '../embedded/embedded.ts';
import { AppError } from '../errors.ts';
import { firstToken } from './first-token.ts';
import { greeting } from './greeting.ts';
import { openLog } from './log.ts';
import { runUntilStopped } from './run-until-stopped.ts';
import { startAll } from './services.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** `switchback up`: API and worker in one process, on the embedded PostgreSQL when no control database is configured. */
export async function up(file: string | undefined): Promise<void> {
  const config = loadConfig(undefined, { file });
  await runUntilStopped(async (closing, stopping) => {
    closing.add(async () => say('Switchback has stopped.'));
    const embedded =
      config.controlDatabase === undefined
        ? await startEmbedded(path.join(config.dataDirectory, 'postgresql'))
        : null;
    if (embedded !== null) closing.add(() => embedded.stop());
    const first = config.tokens.length === 0 ? await firstToken(config.dataDirectory) : null;
    const complete = {
      ...(embedded === null ? config : await onEmbedded(config, embedded)),
      tokens: first === null ? config.tokens : [first.config],
    };
    const url = await startAll(complete, openLog(config.logLevel), closing, stopping);
    for (const line of greeting({ url, embedded, first, databases: complete.databases })) say(line);
    closing.add(async () => say('\nStopping: jobs under way are finished, or handed back to the queue.'));
    return embedded === null ? {} : { broken: whenGone(embedded) };
  });
}

/** The configuration with the embedded server as control database, and without a file the example to try it on. */
async function onEmbedded(config: Config, embedded: Embedded): Promise<Config> {
  const controlDatabase = { url: await embedded.database('switchback') };
  return {
    ...config,
    controlDatabase,
    databases: config.file === null ? await exampleDatabase(embedded) : config.databases,
  };
}

async function exampleDatabase(embedded: Embedded): Promise<Config['databases']> {
  const migrations = fileURLToPath(new URL('../../examples/globalrx/prisma/migrations', import.meta.url));
  const url = await embedded.database('globalrx');
  const databases = [{ name: 'globalrx', url, migrations, environment: 'example' }];
  return configSchema.parse({ databases }).databases;
}

async function whenGone(embedded: Embedded): Promise<never> {
  await embedded.gone;
  throw new AppError(
    'EMBEDDED_START_FAILED',
    `The embedded PostgreSQL has ended. Its data is in ${embedded.folder}; start Switchback again.`,
  );
}
