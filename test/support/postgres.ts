import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';
import { withSession } from '../../src/db/session.ts';
import { parseTarget } from '../../src/db/target.ts';
import { findBinaries, reachableBinaries } from '../../src/embedded/binaries.ts';
import { serverUser } from '../../src/embedded/os-user.ts';
import { freePort, startServer as launch, type Server, type StopMode } from '../../src/embedded/server.ts';
import { AppError } from '../../src/errors.ts';

export type Major = 14 | 15 | 16 | 17 | 18;
export const majors: readonly Major[] = [14, 15, 16, 17, 18];

const packageOf = (major: Major): string | undefined =>
  major === 15 ? undefined : `pg${major}-${process.platform}-${process.arch}`;

/** The majors whose binaries this platform has. With CI set, all of them must be there. */
export const availableMajors: readonly Major[] = await findMajors();

async function findMajors(): Promise<Major[]> {
  const found: Major[] = [];
  for (const major of majors) {
    try {
      await findBinaries(packageOf(major));
      found.push(major);
    } catch (error) {
      if (
        process.env.CI !== undefined ||
        !(error instanceof AppError) ||
        error.code !== 'EMBEDDED_UNAVAILABLE'
      )
        throw error;
    }
  }
  return found;
}

export interface TestServer {
  /** URL of one of its databases, as the superuser. */
  url(database: string): string;
  createDatabase(): Promise<TestDatabase>;
  stop(): Promise<void>;
  /** Stops (`immediate` is a crash) and starts it again, on the same port. */
  restart(mode: StopMode): Promise<void>;
  readonly pid: number;
}

export interface TestDatabase {
  readonly url: string;
  readonly name: string;
  drop(): Promise<void>;
}

const prefix = 'switchback-test-';

/** Starts a server of a major, for tests that need one of their own: they crash it, or need its settings. */
export async function startServer(
  major: Major = 15,
  settings: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  stopLeftovers();
  const directory = mkdtempSync(path.join(tmpdir(), `${prefix}${process.pid}-`));
  chmodSync(directory, 0o755);
  const user = serverUser();
  const options = {
    binaries: await reachableBinaries(await findBinaries(packageOf(major)), user, directory),
    dataDirectory: path.join(directory, 'data'),
    user,
    password: randomBytes(12).toString('hex'),
    port: await freePort(),
    settings: {
      fsync: 'off',
      synchronous_commit: 'off',
      shared_buffers: '64MB',
      max_connections: '100',
      ...settings,
    },
  };
  let server: Server = await launch(options);
  return {
    url: (database) => server.url(database),
    createDatabase: () => createDatabaseIn(server.url('postgres'), (name) => server.url(name)),
    get pid() {
      return server.pid;
    },
    async stop() {
      await server.stop('immediate');
      rmSync(directory, { recursive: true, force: true });
    },
    async restart(mode) {
      await server.stop(mode);
      server = await launch(options);
    },
  };
}

/** A new, empty database in the run's server. */
export function createDatabase(): Promise<TestDatabase> {
  const server = inject('serverUrl');
  return createDatabaseIn(`${server}postgres`, (name) => `${server}${name}`);
}

/** A control database, cloned from the one that was prepared for the run. */
export function createControlDatabase(): Promise<TestDatabase> {
  const server = inject('serverUrl');
  return createDatabaseIn(`${server}postgres`, (name) => `${server}${name}`, inject('controlTemplate'));
}

async function createDatabaseIn(
  admin: string,
  url: (name: string) => string,
  template = 'template0',
): Promise<TestDatabase> {
  const name = `t_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
  const run = (sql: string): Promise<unknown> =>
    withSession(parseTarget(admin), { applicationName: 'test:admin' }, (session) => session.query(sql));
  await run(`create database ${name} template ${template}`);
  return {
    name,
    url: url(name),
    drop: () => run(`drop database if exists ${name} with (force)`).then(() => undefined),
  };
}

/** Stops servers, and removes folders, of test runs that were killed: their folders carry the run's process number. */
function stopLeftovers(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const owner = Number(name.slice(prefix.length).split('-')[0]);
    if (isAlive(owner)) continue;
    const folder = path.join(tmpdir(), name);
    const server = Number(readIfThere(path.join(folder, 'data', 'postmaster.pid')).split('\n')[0]);
    if (server > 1 && readIfThere(`/proc/${server}/cmdline`).includes(folder))
      process.kill(server, 'SIGQUIT');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
