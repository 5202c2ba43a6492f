import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { AppError } from '../errors.ts';
import { ownFolder } from './binaries.ts';
import type { OsUser } from './os-user.ts';

export interface ServerOptions {
  /** Folder with bin, lib and share. */
  readonly binaries: string;
  /** Made by initdb when it is not there. */
  readonly dataDirectory: string;
  readonly user: OsUser | null;
  /** Of the superuser `switchback`; needed when the data directory is new, and to connect. */
  readonly password: string;
  readonly port: number;
  /** PostgreSQL settings beside ours. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** `fast` ends sessions, `immediate` crashes: the next start recovers. */
export type StopMode = 'fast' | 'immediate';

export interface Server {
  readonly port: number;
  readonly pid: number;
  /** URL of one of its databases, as the superuser. */
  url(database: string): string;
  stop(mode?: StopMode): Promise<void>;
}

/**
 * Starts a PostgreSQL server as a child of this process, listening on 127.0.0.1 only and by password only, without a
 * socket in the file system.
 * @throws AppError `EMBEDDED_START_FAILED` with the end of the server's log
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  if (!existsSync(path.join(options.dataDirectory, 'PG_VERSION'))) await initialise(options);
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(options.port),
    unix_socket_directories: '',
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = launch(options, 'postgres', ['-D', options.dataDirectory, ...flags]);
  const log = tailOf(child);
  await ready(child, options, log);
  return {
    port: options.port,
    pid: child.pid ?? 0,
    url: (database) => `postgres://switchback:${options.password}@127.0.0.1:${options.port}/${database}`,
    stop: (mode = 'fast') => stopChild(child, mode),
  };
}

/** A port of 127.0.0.1 that nobody listens on now; the preferred one if it is free. */
export async function freePort(preferred = 0): Promise<number> {
  for (const wanted of [preferred, 0]) {
    const probe = createServer();
    try {
      probe.listen(wanted, '127.0.0.1');
      await once(probe, 'listening');
      const address = probe.address();
      if (address !== null && typeof address === 'object') return address.port;
    } catch (error) {
      if (wanted === 0) throw error;
    } finally {
      probe.close();
    }
  }
  throw new AppError('EMBEDDED_START_FAILED', 'No free port was found on 127.0.0.1.');
}

async function initialise({ binaries, dataDirectory, user, password }: ServerOptions): Promise<void> {
  await ownFolder(dataDirectory, user);
  const passwordFile = path.join(path.dirname(dataDirectory), `.${path.basename(dataDirectory)}.password`);
  await writeFile(passwordFile, password, { mode: 0o600 });
  try {
    if (user !== null) await chown(passwordFile, user.uid, user.gid);
    const child = launch({ binaries, user }, 'initdb', [
      '-D',
      dataDirectory,
      '-U',
      'switchback',
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      '-E',
      'UTF8',
      '--locale=C',
    ]);
    const log = tailOf(child);
    const [code] = await once(child, 'exit');
    if (code !== 0) {
      await rm(dataDirectory, { recursive: true, force: true });
      throw new AppError('EMBEDDED_START_FAILED', `initdb failed (exit code ${code}): ${log()}`);
    }
  } finally {
    await rm(passwordFile, { force: true });
  }
}

function launch(
  { binaries, user }: Pick<ServerOptions, 'binaries' | 'user'>,
  program: string,
  args: readonly string[],
): ChildProcess {
  return spawn(path.join(binaries, 'bin', program), args, {
    cwd: '/',
    // The server outlives a Ctrl-C that is meant for us: we stop it, in order.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
  });
}

/** The last lines of what a child prints. */
function tailOf(child: ChildProcess): () => string {
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString('utf8')).slice(-4_000);
    });
  }
  return () => tail.trim();
}

/** postmaster.pid's eighth line says `ready` once connections are accepted. */
async function ready(
  child: ChildProcess,
  { dataDirectory }: ServerOptions,
  log: () => string,
): Promise<void> {
  const failed = once(child, 'exit').then(([code]) => {
    throw new AppError(
      'EMBEDDED_START_FAILED',
      `The embedded PostgreSQL ended with exit code ${code}: ${log()}`,
    );
  });
  failed.catch(ignoreLater);
  const until = Date.now() + 60_000;
  while (Date.now() < until) {
    const lines = await pidFile(dataDirectory);
    if (lines[0] === String(child.pid) && lines[7]?.trim() === 'ready') return;
    await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 20))]);
  }
  await stopChild(child, 'immediate');
  throw new AppError('EMBEDDED_START_FAILED', `The embedded PostgreSQL was not ready within 60 s: ${log()}`);
}

/** Once the server runs, its exit is `stop`'s business. */
const ignoreLater = (): void => undefined;

/** Lines of postmaster.pid: process, data directory, start time, port, …, status. */
export async function pidFile(dataDirectory: string): Promise<string[]> {
  const file = path.join(dataDirectory, 'postmaster.pid');
  return existsSync(file) ? (await readFile(file, 'utf8')).split('\n') : [];
}

async function stopChild(child: ChildProcess, mode: StopMode): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  await exited;
}
