/** What the demo runs on: the embedded server, Switchback, a copy of the example, a receiver of webhooks. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import path from 'node:path';
import { openLog } from '../../src/cli/log.ts';
import { startUp } from '../../src/cli/up.ts';
import { configSchema } from '../../src/config.ts';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { startEmbedded } from '../../src/embedded/embedded.ts';
import { Client } from './client.ts';

const root = path.resolve(import.meta.dirname, '../..');
const example = path.join(root, 'examples/globalrx');

export interface Webhook {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Stage {
  readonly client: Client;
  readonly url: string;
  readonly dataFolder: string;
  readonly migrations: string;
  readonly secret: string;
  readonly webhooks: readonly Webhook[];
  /** Puts migrations of the example into the database's directory. */
  addMigrations(count: number): Promise<string[]>;
  seed(): Promise<void>;
  /** Every table's columns and number of rows, to compare. */
  picture(): Promise<string>;
  close(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const folder = path.join(root, '.switchback/demo');
  const migrations = path.join(folder, 'migrations');
  await rm(migrations, { recursive: true, force: true });
  await mkdir(migrations, { recursive: true });
  await cp(
    path.join(example, 'prisma/migrations/migration_lock.toml'),
    path.join(migrations, 'migration_lock.toml'),
  );
  const embedded = await startEmbedded(path.join(folder, 'data'));
  const receiver = await startReceiver();
  const database = await freshDatabase(await embedded.database('postgres'), 'globalrx');
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  const token = `sb_${randomBytes(32).toString('base64url')}`;
  const parsed = configSchema.parse({
    http: { port: 0 },
    controlDatabase: { url: await embedded.database('switchback') },
    databases: [{ name: 'globalrx', url: database, migrations, environment: 'demo', healthUrls: [] }],
    tokens: [{ name: 'demo', sha256: createHash('sha256').update(token).digest('hex'), scopes: ['admin'] }],
    alerts: {
      sinks: [{ type: 'webhook', name: 'demo', url: receiver.url, secret, allowPrivateAddresses: true }],
    },
    backups: { store: { type: 'file', directory: path.join(folder, 'backups') } },
  });
  const running = await startUp({ ...parsed, file: null }, openLog('silent'));
  return {
    client: new Client(running.url, token),
    url: running.url,
    dataFolder: embedded.folder,
    migrations,
    secret,
    webhooks: receiver.webhooks,
    addMigrations: (count) => addMigrations(migrations, count),
    seed: () =>
      inDatabase(
        database,
        async (query) => void (await query(await readFile(path.join(example, 'seed.sql'), 'utf8'))),
      ),
    picture: () => takePicture(database),
    async close() {
      await running.stop();
      await receiver.close();
      await embedded.stop();
    },
  };
}

/** The first `count` folders, in the order in which Prisma applies them. */
async function addMigrations(directory: string, count: number): Promise<string[]> {
  const source = path.join(example, 'prisma/migrations');
  const entries = await readdir(source, { withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort((a, b) => a.localeCompare(b, 'en'))
    .slice(0, count);
  for (const name of names)
    await cp(path.join(source, name), path.join(directory, name), { recursive: true });
  return names;
}

type Query = (sql: string) => Promise<{ rows: Record<string, unknown>[] }>;

const inDatabase = <T>(url: string, work: (query: Query) => Promise<T>): Promise<T> =>
  withSession(parseTarget(url), { applicationName: 'demo' }, (session) => work((sql) => session.query(sql)));

async function freshDatabase(admin: string, name: string): Promise<string> {
  await inDatabase(admin, async (query) => {
    await query(`drop database if exists ${name} with (force)`);
    await query(`create database ${name}`);
  });
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return url.href;
}

function takePicture(url: string): Promise<string> {
  return inDatabase(url, async (query) => {
    const columns = await query(
      `select table_name, string_agg(column_name || ' ' || data_type || ' ' || is_nullable || coalesce(' ' || column_default, ''), ', ' order by ordinal_position) as columns
         from information_schema.columns where table_schema = 'public' and table_name <> '_prisma_migrations' group by 1 order by 1`,
    );
    const tables = columns.rows.map(
      (row) => `select '${String(row.table_name)}' as name, count(*) from "${String(row.table_name)}"`,
    );
    return JSON.stringify([columns.rows, (await query(tables.join(' union all '))).rows]);
  });
}

async function startReceiver(): Promise<{ url: string; webhooks: Webhook[]; close(): Promise<void> }> {
  const webhooks: Webhook[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      webhooks.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/alerts`,
    webhooks,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
