/** The PostgreSQL that ships with the npm package, for a first run without any server. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { quoteIdentifier } from '../db/quote.ts';
import { withSession } from '../db/session.ts';
import { parseTarget } from '../db/target.ts';
import { AppError } from '../errors.ts';
import { findBinaries, reachableBinaries } from './binaries.ts';
import { stopOrphan } from './orphan.ts';
import { canReach, type OsUser, ownFolder, serverUser } from './os-user.ts';
import { freePort } from './port.ts';
import { processFacts } from './processes.ts';
import { type Server, startServer } from './server.ts';

export interface Embedded {
  /** Where data and, if need be, binaries live. */
  readonly folder: string;
  /** URL of a database of the server, made if it is not there. */
  database(name: string): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts the embedded server on the data of earlier runs. A server that a killed run left behind is stopped first.
 * @param place where the data is to live, if the server's user can reach it; else a folder below /var/lib/switchback
 * @throws AppError `EMBEDDED_START_FAILED` when another run uses the data, `EMBEDDED_UNAVAILABLE`
 */
export async function startEmbedded(place: string): Promise<Embedded> {
  const user = serverUser();
  await mkdir(place, { recursive: true });
  const folder = canReach(place, user) ? place : ownPlace(place);
  await mkdir(folder, { recursive: true });
  const owner = path.join(folder, 'owner');
  await claim(owner);
  try {
    const server = await start(folder, user);
    return {
      folder,
      database: (name) => ensureDatabase(server, name),
      async stop() {
        await server.stop();
        await rm(owner, { force: true });
      },
    };
  } catch (error) {
    await rm(owner, { force: true });
    throw error;
  }
}

/** Named after the clone's path, so that two clones do not meet. */
function ownPlace(place: string): string {
  const hash = createHash('sha256').update(place).digest('hex').slice(0, 8);
  return path.join(
    '/var/lib/switchback',
    `${path.basename(path.dirname(place)).replace(/[^\w.-]/g, '_')}-${hash}`,
  );
}

async function start(folder: string, user: OsUser | null): Promise<Server> {
  const dataDirectory = path.join(folder, 'postgres');
  await stopOrphan(dataDirectory);
  const password = await keep(path.join(folder, 'password'), () => randomBytes(24).toString('base64url'));
  const portFile = path.join(folder, 'port');
  const port = await freePort(existsSync(portFile) ? Number(await readFile(portFile, 'utf8')) : 0);
  await writeFile(portFile, String(port), { mode: 0o600 });
  if (user !== null && existsSync(dataDirectory)) await ownFolder(dataDirectory, user);
  const binaries = await reachableBinaries(await findBinaries(), user, path.join(folder, 'postgresql'));
  return startServer({ binaries, dataDirectory, user, password, port, settings: { max_connections: '200' } });
}

/** The process that works on the folder: a second one is refused, a dead one is succeeded. */
async function claim(owner: string): Promise<void> {
  const mine = `${process.pid} ${processFacts(process.pid)?.started}`;
  try {
    await writeFile(owner, mine, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const [pid = '', ...started] = (await readFile(owner, 'utf8')).split(' ');
    if (processFacts(Number(pid))?.started === started.join(' '))
      throw new AppError(
        'EMBEDDED_START_FAILED',
        `Switchback runs already on the data in ${path.dirname(owner)}, as process ${pid}. Stop it first, or use another data directory.`,
        { pid: Number(pid) },
      );
    await writeFile(owner, mine, { mode: 0o600 });
  }
}

async function keep(file: string, make: () => string): Promise<string> {
  if (!existsSync(file)) await writeFile(file, make(), { mode: 0o600 });
  return readFile(file, 'utf8');
}

async function ensureDatabase(server: Server, name: string): Promise<string> {
  await withSession(
    parseTarget(server.url('postgres')),
    { applicationName: 'switchback:embedded', doing: 'making a database' },
    async (session) => {
      const { rows } = await session.query('select from pg_catalog.pg_database where datname = $1', [name]);
      if (rows.length === 0) await session.query(`create database ${quoteIdentifier(name)}`);
    },
  );
  return server.url(name);
}
