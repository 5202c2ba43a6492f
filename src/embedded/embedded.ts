/** The PostgreSQL that comes with the npm packages, for a first run without any server. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { quoteIdentifier } from '../db/quote.ts';
import { withSession } from '../db/session.ts';
import { parseTarget } from '../db/target.ts';
import { findBinaries, reachableBinaries } from './binaries.ts';
import { claim } from './claim.ts';
import { keepSecret } from './keep-secret.ts';
import { stopOrphan } from './orphan.ts';
import { type OsUser, serverUser } from './os-user.ts';
import { makePlace } from './place.ts';
import { freePort } from './port.ts';
import { type Server, startServer } from './server.ts';

export interface Embedded {
  /** Where data and password are, and the binaries if they had to be copied: the wanted folder, or one of our own. */
  readonly folder: string;
  readonly port: number;
  /** The server of an earlier, killed run that was stopped first, or null. */
  readonly orphan: number | null;
  /** URL of a database of the server; it is made if it is not there. Holds the password. */
  database(name: string): Promise<string>;
  /** Settles when the server is gone, whoever ended it. */
  readonly gone: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the embedded server on the data of earlier runs.
 * @param wanted where the data is to live, if the server's user can reach it
 * @throws AppError `EMBEDDED_START_FAILED` (also when another process runs on the data), `EMBEDDED_UNAVAILABLE`
 */
export async function startEmbedded(wanted: string): Promise<Embedded> {
  const user = serverUser();
  const folder = await makePlace(wanted, user);
  const giveBack = await claim(path.join(folder, 'owner'), `the data in ${folder}`);
  try {
    const orphan = await stopOrphan(path.join(folder, 'data'));
    const server = await start(folder, user);
    return {
      folder,
      port: server.port,
      orphan,
      database: (name) => ensureDatabase(server, name),
      gone: server.gone,
      async stop() {
        await server.stop();
        await giveBack();
      },
    };
  } catch (error) {
    await giveBack();
    throw error;
  }
}

async function start(folder: string, user: OsUser | null): Promise<Server> {
  const password = await keepSecret(path.join(folder, 'password'), () =>
    randomBytes(24).toString('base64url'),
  );
  const portFile = path.join(folder, 'port');
  const port = await freePort(existsSync(portFile) ? Number(await readFile(portFile, 'utf8')) : 0);
  const server = await startServer({
    binaries: await reachableBinaries(await findBinaries(), user, path.join(folder, 'binaries')),
    dataDirectory: path.join(folder, 'data'),
    user,
    password,
    port,
    settings: { max_connections: '200' },
  });
  await writeFile(portFile, String(port));
  return server;
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
