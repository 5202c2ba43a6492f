/** What the demo runs on: the embedded server, Switchback, a copy of the example, a receiver of alerts. */
import { createHash, randomBytes } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Closing } from '../../src/cli/closing.ts';
import { openLog } from '../../src/cli/log.ts';
import { startAll } from '../../src/cli/services.ts';
import { configSchema } from '../../src/config.ts';
import { startEmbedded } from '../../src/embedded/embedded.ts';
import { Client } from './client.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { countRows, inDatabase, readContents, takePicture } from './target.ts';

const root = path.resolve(import.meta.dirname, '../..');
const example = path.join(root, 'examples/globalrx');

export interface Stage {
  readonly client: Client;
  readonly url: string;
  readonly dataFolder: string;
  readonly receiver: Receiver;
  /** Makes the database's directory hold the example's first migrations, in the order in which they are applied. */
  addMigrations(count: number): Promise<string[]>;
  addMigration(name: string, sql: string): Promise<void>;
  /** Fills the application's tables; returns the number of rows. */
  seed(): Promise<number>;
  /** The rows of the application's tables, to compare. */
  contents(): Promise<string>;
  /** All that can be seen of the application's database, to compare. */
  picture(): Promise<string>;
}

/** Sets everything up; what has to be closed goes to `closing`. */
export async function openStage(closing: Closing): Promise<Stage> {
  const folder = path.join(root, '.switchback/demo');
  const migrations = path.join(folder, 'migrations');
  const backups = path.join(folder, 'backups');
  for (const leftover of [migrations, backups]) await rm(leftover, { recursive: true, force: true });
  await mkdir(migrations, { recursive: true });
  const embedded = await startEmbedded(path.join(folder, 'postgresql'));
  closing.add(() => embedded.stop());
  await dropDatabases(await embedded.database('postgres'), ['switchback', 'globalrx']);
  const database = await embedded.database('globalrx');
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  const receiver = await startReceiver(secret);
  closing.add(() => receiver.close());
  const token = `sb_${randomBytes(32).toString('base64url')}`;
  const parsed = configSchema.parse({
    http: { port: 0 },
    controlDatabase: { url: await embedded.database('switchback') },
    databases: [{ name: 'globalrx', url: database, migrations, environment: 'demo' }],
    tokens: [{ name: 'demo', sha256: createHash('sha256').update(token).digest('hex'), scopes: ['approve'] }],
    alerts: {
      sinks: [{ type: 'webhook', name: 'demo', url: receiver.url, secret, allowPrivateAddresses: true }],
    },
    backups: { store: { type: 'file', directory: backups } },
  });
  const url = await startAll(
    { ...parsed, file: null },
    openLog('silent'),
    closing,
    new AbortController().signal,
  );
  return {
    client: new Client(url, token),
    url,
    dataFolder: embedded.folder,
    receiver,
    addMigrations: (count) => addMigrations(migrations, count),
    addMigration: (name, sql) => addMigration(migrations, name, sql),
    async seed() {
      const sql = await readFile(path.join(example, 'seed.sql'), 'utf8');
      await inDatabase(database, (session) => session.query(sql));
      return countRows(database);
    },
    contents: () => readContents(database),
    picture: () => takePicture(database),
  };
}

const dropDatabases = (admin: string, names: readonly string[]): Promise<void> =>
  inDatabase(admin, async (session) => {
    for (const name of names) await session.query(`drop database if exists ${name} with (force)`);
  });

async function addMigrations(directory: string, count: number): Promise<string[]> {
  const source = path.join(example, 'prisma/migrations');
  const entries = await readdir(source, { withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort((one, other) => one.localeCompare(other, 'en'))
    .slice(0, count);
  for (const name of ['migration_lock.toml', ...names])
    await cp(path.join(source, name), path.join(directory, name), { recursive: true });
  return names;
}

async function addMigration(directory: string, name: string, sql: string): Promise<void> {
  await mkdir(path.join(directory, name));
  await writeFile(path.join(directory, name, 'migration.sql'), sql);
}
